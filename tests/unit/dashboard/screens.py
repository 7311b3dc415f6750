"""A dashboard on a screen that is not there, over a real control socket: what it shows, and its keys."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from textual.pilot import Pilot

from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.dashboard.app import Dashboard
from kubeedge_actors.deadletters.durable_dead_letters import FILE, DurableDeadLetters
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import NO_BACKOFF, ActorSystem, Intensity, OneForOne, SupervisorSpec, ThreadsEngine
from tests.support.waiting import PATIENCE

SIZE = (80, 24)
LOOK = 0.02
INTERVAL = 0.1
FATE = OneForOne(Intensity(max_restarts=100, period=10.0))
NAME = "thermometer-alarms-of-hall-7"


class Fragile(Module):
    """Breaks on purpose."""

    name = NAME

    @on
    def say(self, text: str) -> str:
        if text == "boom":
            raise ValueError("boom and [not] markup")
        return text


def facts(pid: int = 1) -> dict[str, object]:
    """As an edge gives them."""
    return {
        "process": {"side": "edge", "name": "e1", "version": "1", "pid": pid, "rss": 37_000_000, "cpu": 1.0},
        "link": {"state": "connected", "since": time.time() - 60, "attempts": 3, "reason": "", "url": "wss://c"},
        "traffic": {"up": {"twin/twin": {"messages": 4, "bytes": 2_000}}, "down": {}},
        "databases": {"edge.db": 64_000},
    }


class DashboardEnv:
    """A runtime with one fragile actor and its control socket."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / SOCKET
        self.office = DurableDeadLetters(folder / FILE)
        self.runtime = ActorSystem(ThreadsEngine(), dead_letters=self.office, optional_types=(str,))
        self.runtime.start(SupervisorSpec("root", [Fragile.spec(backoff=NO_BACKOFF)], FATE))
        self.client = ControlClient(self.path)
        self.serve()

    def serve(self, pid: int = 1) -> None:
        """Answer at the socket, as this process."""
        self.control = ControlSocket(self.path, self.runtime, lambda: facts(pid), dead_letters=self.office)
        self.control.start()

    def say(self, text: str) -> None:
        """Tell it something and wait until it is through with it."""
        self.runtime.ref(NAME).tell(text)
        self.runtime.ref(NAME).ask("then", PATIENCE).get()

    def close(self) -> None:
        self.client.close()
        self.control.close()
        self.runtime.stop(PATIENCE)
        self.office.close()


async def seen(pilot: Pilot[None], pattern: str) -> str:
    """Wait until the screen shows this, in this order; the screen as one text."""
    for _ in range(int(PATIENCE / LOOK)):
        if re.search(pattern, text := "\n".join(screen(pilot)), re.DOTALL):
            return text
        await pilot.pause(LOOK)
    raise AssertionError(text)


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Wait for what the screen does not show."""
    for _ in range(int(PATIENCE / LOOK)):
        if condition():
            return
        await pilot.pause(LOOK)
    raise AssertionError("\n".join(screen(pilot)))


async def press(pilot: Pilot[None], *keys: str, shows: str) -> str:
    """Press keys, and wait until the screen shows what they ask for."""
    await pilot.press(*keys)
    return await seen(pilot, shows)


def screen(pilot: Pilot[None]) -> list[str]:
    """What a person sees, line by line."""
    strips = pilot.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def on_screen(
    env: DashboardEnv,
    look: Callable[[Pilot[None], Dashboard], Awaitable[None]],
    size: tuple[int, int] = SIZE,
    names: Sequence[str] = ("e1",),
) -> None:
    """Run the dashboard, with the same process once for each name."""

    async def run() -> None:
        app = Dashboard([ControlClient(env.path) for _ in names], interval=INTERVAL, names=names)
        async with app.run_test(size=size) as pilot:
            await seen(pilot, NAME[:6])
            await look(pilot, app)

    asyncio.run(run())
