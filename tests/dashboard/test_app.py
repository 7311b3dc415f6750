"""The dashboard on a screen of 80x24, driven by its keys, over a real control socket."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("textual", reason="the dashboard is an extra")

from textual.pilot import Pilot

from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.dashboard.app import Dashboard
from kubeedge_actors.dashboard.client import ControlClient
from kubeedge_actors.letters import FILE, LetterOffice
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import NO_BACKOFF, Event, Restarted, Runtime, SupervisorSpec, ThreadsEngine

SIZE = (80, 24)
NAME = "thermometer-alarms-of-hall-7"


class Fragile(Module):
    """Breaks on purpose."""

    name = NAME

    @on
    def say(self, text: str) -> str:
        if text == "boom":
            raise ValueError("boom and [not] markup")
        return text


class World:
    """A runtime with one fragile actor and its control socket."""

    def __init__(self, folder: Path) -> None:
        self.office = LetterOffice(folder / FILE)
        self.runtime = Runtime(ThreadsEngine(), dead_letters=self.office, optional=(str,))
        self.runtime.start(SupervisorSpec("root", [Fragile.spec(backoff=NO_BACKOFF)]))
        self.control = ControlSocket(folder / SOCKET, self.runtime, lambda: {"link": "up"}, office=self.office)
        self.control.start()
        self.client = ControlClient(folder / SOCKET)

    def say(self, text: str) -> None:
        """Tell it something and wait until it is through with it."""
        self.runtime.ref(NAME).tell(text)
        self.runtime.ref(NAME).ask("then").get()

    def close(self) -> None:
        self.client.close()
        self.control.close()
        self.runtime.stop(5)
        self.office.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def screen(pilot: Pilot[None]) -> list[str]:
    """What a person sees, line by line."""
    strips = pilot.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def on_screen(world: World, look: Callable[[Pilot[None], Dashboard], Awaitable[None]]) -> None:
    """Run the dashboard; it looks only when it is told to."""

    async def run() -> None:
        app = Dashboard(world.client, interval=3_600)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause()
            await look(pilot, app)

    asyncio.run(run())


def test_all_that_matters_of_an_actor_is_within_80_columns(world: World) -> None:
    world.say("boom")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        lines = screen(pilot)
        assert len(lines) == 24
        assert {len(line) for line in lines} == {80}
        heading = next(line for line in lines if "actor" in line and "state" in line)
        assert heading.split() == ["actor", "state", "queue", "msg/s", "trend", "p50", "p99", "restarts"]
        row = next(line for line in lines if "thermometer" in line)
        assert re.fullmatch(r"  thermometer-al\S+…  running +0 +[\d.]+ +▁ +\d\S+ +\d\S+ +3 *", row.rstrip()[1:]), row
        assert "1 actor   1 in trouble" in lines[0]
        assert "link: up" in lines[0]
        assert "dead letters: 1" in lines[0]

    on_screen(world, look)


def test_the_chosen_actors_last_error_is_below_the_table_and_whole_on_a_page(world: World) -> None:
    world.say("boom")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("down")
        await pilot.pause()
        assert any(f"{NAME}: ValueError: boom and [not] markup" in line for line in screen(pilot))
        await pilot.press("e")
        await pilot.pause()
        assert any(f"last error of {NAME}" in line for line in screen(pilot))
        app.refresh_table()
        await pilot.press("escape")
        await pilot.pause()
        assert len(app.screen_stack) == 1

    on_screen(world, look)


def test_r_restarts_the_chosen_actor_and_not_a_supervisor(world: World) -> None:
    restarted = threading.Event()

    def notice(event: Event) -> None:
        if isinstance(event, Restarted):
            restarted.set()

    world.runtime.events.subscribe(notice)

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("r")
        await pilot.pause()
        assert any("a supervisor is not restarted" in line for line in screen(pilot))
        assert not restarted.is_set()
        await pilot.press("down", "r")
        await pilot.pause()
        assert any(f"{NAME} is restarted" in line for line in screen(pilot))
        assert await asyncio.to_thread(restarted.wait, 5)

    on_screen(world, look)


def test_d_shows_the_dead_letters(world: World) -> None:
    world.say("boom")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("d")
        await pilot.pause()
        text = "\n".join(screen(pilot))
        assert "dead letters: 1 ─" in text
        assert f"{NAME}: its handler crashed too often" in text
        assert "'boom'" in text

    on_screen(world, look)


def test_the_cursor_stays_where_it_is_when_the_table_is_drawn_anew(world: World) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("down")
        app.refresh_table()
        await pilot.pause()
        await pilot.press("e")
        await pilot.pause()
        assert any(f"{NAME} has not failed" in line for line in screen(pilot))

    on_screen(world, look)


def test_a_process_that_goes_away_is_said_and_the_screen_stays(world: World) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        world.client.close()
        world.control.close()
        app.refresh_table()
        await pilot.pause()
        text = "\n".join(screen(pilot))
        assert "nothing answers at" in text
        assert "thermometer" in text

    on_screen(world, look)
