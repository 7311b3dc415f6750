"""The dashboard on a screen of 80x24, driven by its keys, over a real control socket."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import eventually

pytest.importorskip("textual", reason="the dashboard is an extra")

from textual.pilot import Pilot

from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.control import client as client_module
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.dashboard.app import Dashboard
from kubeedge_actors.deadletters.durable_dead_letters import FILE, DurableDeadLetters
from kubeedge_actors.errors import UsageError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import (
    NO_BACKOFF,
    ActorSystem,
    Event,
    Intensity,
    OneForOne,
    Restarted,
    SupervisorSpec,
    ThreadsEngine,
)
from tests.support.waiting import PATIENCE

SIZE = (80, 24)
LOOK = 0.02
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


def facts() -> dict[str, object]:
    """As an edge gives them."""
    return {
        "process": {"side": "edge", "name": "e1", "version": "1", "pid": 1, "rss": 37_000_000, "cpu": 1.0},
        "link": {"state": "connected", "since": time.time() - 60, "attempts": 3, "reason": "", "url": "wss://c"},
        "traffic": {"up": {"twin/twin": {"messages": 4, "bytes": 2_000}}, "down": {}},
        "databases": {"edge.db": 64_000},
    }


class DashboardEnv:
    """A runtime with one fragile actor and its control socket."""

    def __init__(self, folder: Path) -> None:
        self.office = DurableDeadLetters(folder / FILE)
        self.runtime = ActorSystem(ThreadsEngine(), dead_letters=self.office, optional_types=(str,))
        self.runtime.start(SupervisorSpec("root", [Fragile.spec(backoff=NO_BACKOFF)], FATE))
        self.control = ControlSocket(folder / SOCKET, self.runtime, facts, dead_letters=self.office)
        self.control.start()
        self.client = ControlClient(folder / SOCKET)

    def say(self, text: str) -> None:
        """Tell it something and wait until it is through with it."""
        self.runtime.ref(NAME).tell(text)
        self.runtime.ref(NAME).ask("then", PATIENCE).get()

    def close(self) -> None:
        self.client.close()
        self.control.close()
        self.runtime.stop(PATIENCE)
        self.office.close()


@pytest.fixture
def env(tmp_path: Path) -> Iterator[DashboardEnv]:
    env = DashboardEnv(tmp_path)
    yield env
    env.close()


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


async def press(pilot: Pilot[None], *keys: str, shows: str) -> None:
    """Press keys, and wait until the screen shows what they ask for."""
    await pilot.press(*keys)
    await seen(pilot, shows)


def screen(pilot: Pilot[None]) -> list[str]:
    """What a person sees, line by line."""
    strips = pilot.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def on_screen(env: DashboardEnv, look: Callable[[Pilot[None], Dashboard], Awaitable[None]]) -> None:
    """Run the dashboard; it looks only when it is told to."""

    async def run() -> None:
        app = Dashboard(env.client, interval=3_600)
        async with app.run_test(size=SIZE) as pilot:
            await seen(pilot, NAME[:6])
            await look(pilot, app)

    asyncio.run(run())


def test_all_that_matters_of_an_actor_is_within_80_columns(env: DashboardEnv) -> None:
    env.say("boom")
    eventually(lambda: env.office.letters(), "the letter is kept")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        lines = (await seen(pilot, r"1 dead letter.*link connected.*up 2\.0 kB.*actor +health.*thermom")).split("\n")
        assert len(lines) == 24
        assert {len(line) for line in lines} == {80}
        heading = next(line for line in lines if "actor" in line and "health" in line)
        assert heading.split() == ["actor", "health", "queue", "msg/s", "trend", "p50", "p99", "restarts"]
        row = next(line for line in lines if "thermom" in line)
        assert re.fullmatch(r"  thermom…-hall-7  ok +0 +[\d.]+ +▁ +\d\S+ +\d\S+ +3 *", row.rstrip()[1:]), row
        assert "1 actor   1 in trouble" in lines[0]
        assert "1 dead letter" in lines[0]
        assert "edge e1" in lines[1] and "link connected for" in lines[1]
        assert "up 2.0 kB" in lines[2] and "edge.db 64 kB" in lines[2]

    on_screen(env, look)


def test_the_chosen_actors_last_error_is_below_the_table_and_whole_on_a_page(env: DashboardEnv) -> None:
    env.say("boom")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("down")
        await pilot.pause()
        await seen(pilot, re.escape(f"{NAME}: ValueError: boom and [not] markup"))
        await pilot.press("e")
        await pilot.pause()
        await seen(pilot, re.escape(f"last errors of {NAME}"))
        app.refresh_now()
        await pilot.pause()
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)

    on_screen(env, look)


def test_r_restarts_the_chosen_actor_and_not_a_supervisor(env: DashboardEnv) -> None:
    restarted = threading.Event()

    def notice(event: Event) -> None:
        if isinstance(event, Restarted):
            restarted.set()

    env.runtime.events.subscribe(notice)

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("r")
        await pilot.pause()
        await seen(pilot, re.escape("a supervisor is not restarted"))
        assert not restarted.is_set()
        await pilot.press("down", "r")
        await pilot.pause()
        await seen(pilot, re.escape(f"{NAME} is restarted"))
        assert await asyncio.to_thread(restarted.wait, PATIENCE)

    on_screen(env, look)


def test_a_suspended_actor_is_shown_with_the_reason_and_u_resumes_it(env: DashboardEnv) -> None:
    env.runtime.suspend(NAME, "it harms others")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await seen(pilot, "suspended")
        await press(pilot, "down", shows="it harms others")
        await press(pilot, "u", shows=re.escape(f"{NAME} is resumed"))
        assert env.runtime.cell(NAME).state.value == "running"
        app.refresh_now()
        await seen(pilot, r"thermom\S+ +ok ")

    on_screen(env, look)


def test_d_lists_dead_letters_and_they_are_shown_replayed_and_dropped(env: DashboardEnv) -> None:
    env.say("boom")
    env.say("boom")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await press(pilot, "d", shows="dead letters: 2")
        await seen(pilot, r"2 +\d\d:\d\d:\d\d thermometer-ala… str +its handler crashed")
        await press(pilot, "enter", shows="'boom'")
        await seen(pilot, r"at +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
        await press(pilot, "escape", "p", shows="2 is back in the mailbox of thermometer")
        await asyncio.to_thread(env.runtime.ref(NAME).ask("through").get)
        await press(pilot, "x", shows="is dropped")

    on_screen(env, look)
    assert len(env.office.letters()) == 2  # the replayed message was dropped, or the letter that it made again


def test_t_follows_the_messages_of_the_chosen_actor_and_enter_one_of_them(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await press(pilot, "down", "t", shows="waiting for a message")
        await asyncio.to_thread(eventually, lambda: env.runtime.tracer is not None)
        await asyncio.to_thread(env.say, "hello")
        await seen(pilot, r"\(outside\) +thermometer… str +\S+ +\S+ +handled")
        await seen(pilot, "answered")
        await press(pilot, "enter", shows="message t")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await asyncio.to_thread(eventually, lambda: env.runtime.tracer is None)

    on_screen(env, look)


def test_bytes_and_help_have_their_pages(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await press(pilot, "b", shows=r"up +twin +twin +4 +2.0 kB")
        await press(pilot, "escape", "question_mark", shows="p replays it")

    on_screen(env, look)


class Patient(ControlClient):
    """Remembers how its questions ended."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.ends: list[BaseException | None] = []

    def ask(self, command: str, /, **arguments: object) -> Any:
        try:
            return super().ask(command, **arguments)
        except UsageError as error:
            self.ends.append(error.__cause__)
            raise


def test_until_the_first_answer_it_says_what_it_waits_for_and_keys_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "TIMEOUT", PATIENCE)
    client = Patient(tmp_path / SOCKET)

    async def run() -> None:
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(tmp_path / SOCKET))
            silent.listen()
            app = Dashboard(client, interval=3_600)
            async with app.run_test(size=SIZE) as pilot:
                await seen(pilot, "^[^\n]*connecting to")
                await press(pilot, "question_mark", shows="p replays it")

    asyncio.run(run())
    (end,) = client.ends  # by hanging up: it did not wait for the answer, not even to end
    assert isinstance(end, OSError) and not isinstance(end, TimeoutError)


def test_the_cursor_stays_where_it_is_when_the_table_is_drawn_anew(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("down")
        app.refresh_now()
        await pilot.pause()
        await pilot.pause()
        await pilot.press("e")
        await pilot.pause()
        await seen(pilot, re.escape(f"{NAME} has not failed"))

    on_screen(env, look)


def test_a_process_that_goes_away_is_said_and_the_screen_stays(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        env.client.close()
        env.control.close()
        app.refresh_now()
        await pilot.pause()
        await pilot.pause()
        text = await seen(pilot, "nothing answers at")
        assert "thermom" in text

    on_screen(env, look)


BY_DEFAULT = """
import runpy, signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started with, such as nohup
runpy.run_module("kubeedge_actors.dashboard", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_when_it_is_asked_to_or_its_terminal_is_gone(env: DashboardEnv, number: signal.Signals) -> None:
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = (sys.executable, "-c", BY_DEFAULT, "--socket", str(env.client.path))
    process = subprocess.Popen(command, stdin=far, stdout=far, stderr=far, start_new_session=True)
    os.close(far)
    try:
        shown = b""
        while b"quit" not in shown:  # it is drawn
            assert select.select([near], [], [], PATIENCE)[0], shown
            shown += os.read(near, 65536)
        os.kill(process.pid, number)
        if number is signal.SIGHUP:
            os.close(near)
        else:
            threading.Thread(target=_drain, args=(near,), daemon=True).start()
        status = process.wait(PATIENCE)
        assert status == 0 or number is signal.SIGHUP  # without a terminal there is nothing to leave in order
    finally:
        process.kill()
        process.wait()


def _drain(terminal: int) -> None:
    with contextlib.suppress(OSError), open(terminal, "rb", buffering=0) as reader:
        while reader.read(65536):
            pass
