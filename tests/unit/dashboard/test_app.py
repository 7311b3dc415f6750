"""The dashboard on a screen of 80x24, driven by its keys, over a real control socket."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import PATIENCE, eventually

pytest.importorskip("textual", reason="the dashboard is an extra")

from rich.cells import cell_len
from textual.events import Key
from textual.geometry import Region
from textual.pilot import Pilot

from kubeedge_actors.control import SOCKET
from kubeedge_actors.control import client as client_module
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.control.figures import Figures
from kubeedge_actors.dashboard.app import Dashboard
from kubeedge_actors.dashboard.lines import StyledLine
from kubeedge_actors.errors import UsageError
from kubeedge_actors.supervisors import Event, Restarted
from tests.unit.dashboard.screens import NAME, SIZE, DashboardEnv, on_screen, press, screen, seen, until

LINE = r"thermom\S+ +"


@pytest.fixture
def env(tmp_path: Path) -> Iterator[DashboardEnv]:
    env = DashboardEnv(tmp_path)
    yield env
    env.close()


def test_all_that_matters_of_an_actor_is_within_80_columns(env: DashboardEnv) -> None:
    env.say("boom")
    eventually(lambda: env.office.letters(), "the letter is kept")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        lines = (await seen(pilot, rf"1 dead letter.*actor +health.*{LINE}ok.*? help  q quit")).split("\n")
        assert len(lines) == 24
        assert {len(line) for line in lines} == {80}
        heading = next(line for line in lines if "health" in line)
        assert heading.split() == ["actor", "health", "queue", "msg/s", "trend", "p50", "p99", "restarts"]
        row = next(line for line in lines if "thermom" in line)
        assert re.fullmatch(r"   \S+-hall-7 +ok +0 +[\d.]+ .* +\d\S+ +\d\S+ +3 *", row.rstrip()), row
        assert "edge e1   37 MB RSS" in lines[0] and "link connected for" in lines[0]
        assert "1 actor   all well" in lines[1] and "1 dead letter" in lines[1]
        assert lines[2].split()[:4] == ["1", "actors", "2", "nodes"]

    on_screen(env, look)


def test_the_width_is_used_names_are_whole_and_the_last_error_has_a_column(env: DashboardEnv) -> None:
    env.say("boom")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        text = await seen(pilot, rf"{NAME} +ok .*ValueError: boom and \[not\] markup")
        assert "oldest" in text and "why, or the last error" in text

    on_screen(env, look, (200, 50))


def test_the_chosen_actors_last_error_is_below_the_table_and_whole_on_a_page(env: DashboardEnv) -> None:
    env.say("boom")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await press(pilot, "j", shows=re.escape(f"{NAME}: ValueError: boom and [not] markup"))
        await press(pilot, "e", shows=re.escape(f"last errors of {NAME}") + ".*Traceback.*esc back")
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)

    on_screen(env, look)


def test_enter_shows_an_actor_up_close_and_its_keys_act(env: DashboardEnv) -> None:
    env.say("hello")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await press(pilot, "j", "enter", shows=r"mailbox 0 of .*messages.*\(outside\) +str .*─▶ " + NAME)
        await press(pilot, "G", shows="child spec")
        await press(pilot, "r", shows=re.escape(f"restart {NAME}?"))

    on_screen(env, look, (100, 40))


def test_r_asks_and_restarts_the_chosen_actor_and_not_a_supervisor(env: DashboardEnv) -> None:
    restarted = threading.Event()

    def notice(event: Event) -> None:
        if isinstance(event, Restarted):
            restarted.set()

    env.runtime.events.subscribe(notice)

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await press(pilot, "r", shows="a supervisor is not restarted")
        await press(pilot, "j", "r", shows=re.escape(f"restart {NAME}?"))
        await press(pilot, "escape", shows="nothing was done")
        assert not restarted.is_set()
        await press(pilot, "r", "y", shows=re.escape(f"{NAME} was restarted"))
        assert await asyncio.to_thread(restarted.wait, PATIENCE)

    on_screen(env, look)


def test_a_suspended_actor_stands_first_with_the_reason_in_the_header_and_u_resumes_it(env: DashboardEnv) -> None:
    env.runtime.suspend(NAME, "it harms others")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await seen(pilot, rf"1 in trouble: {NAME} suspended \(it harms.*health.*thermom.*- root")
        await press(pilot, "g", shows=f"{NAME}: it harms others")
        await press(pilot, "u", shows=re.escape(f"{NAME} was resumed"))
        assert env.runtime.cell(NAME).state.value == "running"
        await seen(pilot, rf"all well.*{LINE}ok ")
        await press(pilot, "u", shows=f"suspend {NAME}")
        await press(pilot, "y", shows=rf"{NAME} was suspended")
        await seen(pilot, "1 in trouble")

    on_screen(env, look)


def test_dead_letters_are_shown_marked_replayed_and_dropped(env: DashboardEnv) -> None:
    for _ in range(3):
        env.say("boom")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await press(pilot, "d", shows=r"id time.*3 +\d\d:\d\d:\d\d +therm\S+ +str +its handler crashed")
        await press(pilot, "g", "enter", shows=r"dead letter 3.*at +\d\d:\d\d:\d\d.*'boom'")
        await press(pilot, "escape", "space", "space", shows="2 marked")
        await press(pilot, "x", shows=re.escape("drop 2 dead letters?"))
        await press(pilot, "y", shows="2 dropped")
        await seen(pilot, r" 1 dead letter.* 1/1 ")
        await press(pilot, "p", "y", shows="1 replayed")
        await asyncio.to_thread(env.runtime.ref(NAME).ask("through").get)

    on_screen(env, look)
    assert [letter.id for letter in env.office.letters()][-1:] == [4]  # what was replayed crashed it again


def test_t_follows_the_messages_of_the_chosen_actor_and_enter_one_of_them(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await press(pilot, "j", "t", shows="waiting for a message")
        await asyncio.to_thread(eventually, lambda: env.runtime.tracer is not None)
        await asyncio.to_thread(env.say, "hello")
        await seen(pilot, r"\(outside\) +therm\S+hall-7 +str +\S+ +\S+ +handled")
        await seen(pilot, "answered")
        await press(pilot, "enter", shows="message t")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await asyncio.to_thread(eventually, lambda: env.runtime.tracer is None)

    on_screen(env, look)


def test_a_filter_acts_while_it_is_typed_and_escape_takes_it_back(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        text = await press(pilot, "slash", "h", "7", shows=r" 1/1  /h7")
        assert "- root" not in text and "/h7" in text
        await press(pilot, "enter", shows=r" 1/1  /h7")
        await press(pilot, "slash", "z", shows=r"nothing matches 'h7z'")
        await press(pilot, "escape", shows=r"- root")
        assert app.state.filter == ""

    on_screen(env, look)


def test_what_is_typed_faster_than_the_screen_draws_is_text_and_acts_on_nothing(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        for character in "/restu":
            app.post_message(Key("slash" if character == "/" else character, character))
        await seen(pilot, "nothing matches 'restu'")
        assert len(app.screen_stack) == 1

    on_screen(env, look)


def test_tab_shows_the_next_process(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await seen(pilot, "1/2 first")
        await press(pilot, "tab", shows="2/2 second")
        await press(pilot, "shift+tab", shows="1/2 first")

    on_screen(env, look, names=["first", "second"])


def test_views_have_keys_and_names_and_what_a_side_has_not_is_said(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await press(pilot, "2", shows="this edge has no nodes to show")
        await press(pilot, "colon", *"ev", "enter", shows="nothing has happened since")
        await asyncio.to_thread(env.say, "boom")
        await seen(pilot, rf"Failed +{LINE}ValueError: boom")
        await press(pilot, "colon", *"bed", "enter", shows="there is no view 'bed'; there are actors")
        await press(pilot, "8", shows="deadletters.db")
        await press(pilot, "question_mark", shows="keys of :store.*esc back")
        await press(pilot, "escape", "escape", shows=r"- root")

    on_screen(env, look)


def test_a_click_on_a_heading_sorts_and_on_a_line_chooses_and_a_supervisor_collapses(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.click("#table", offset=(3, 0))
        await seen(pilot, r"▲actor")
        await pilot.click("#table", offset=(3, 0))
        await seen(pilot, r"▼actor")
        await press(pilot, "escape", shows="actor  ")
        await pilot.click("#table", offset=(5, 2))
        await until(pilot, lambda: app.state.chosen == NAME)
        text = await press(pilot, "left", shows=r"\+ root +1 ok")
        assert "thermom" not in text
        await press(pilot, "right", shows=LINE)

    on_screen(env, look)


class Patient(ControlClient):
    """Remembers how its questions ended."""

    ends: list[BaseException | None] = []

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
    monkeypatch.setattr("kubeedge_actors.dashboard.background_client.ControlClient", Patient)
    monkeypatch.setattr(Patient, "ends", [])

    async def run() -> None:
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(tmp_path / SOCKET))
            silent.listen()
            app = Dashboard([Patient(tmp_path / SOCKET)], interval=3_600)
            async with app.run_test(size=SIZE) as pilot:
                await seen(pilot, "^[^\n]*connecting to")
                await press(pilot, "question_mark", shows="keys of :actors")

    asyncio.run(run())
    eventually(lambda: len(Patient.ends) == 2, "both questions have ended")
    for end in Patient.ends:  # by hanging up: they did not wait for the answer, not even to end
        assert isinstance(end, OSError) and not isinstance(end, TimeoutError)


def test_a_process_that_goes_away_is_shown_as_dead_and_recovers(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await until(pilot, lambda: app.watched.history.end > 0)
        env.control.close()
        for connection in app.client._staying.values():  # as the end of the process does it
            connection.cancel()
        text = await seen(pilot, r"NO ANSWER since \d\d:\d\d:\d\d \(\S+\): nothing answers at")
        assert "thermom" in text and "all well" not in text
        env.serve()
        await seen(pilot, r"1 actor   all well")

    on_screen(env, look)


def test_a_process_whose_figures_fail_is_not_dead_every_other_second(
    env: DashboardEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fail(*_: object) -> dict[str, object]:
        asked.append("figures")
        raise RuntimeError("a defect of the figures")

    monkeypatch.setattr(Figures, "answer", fail)

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        said = set()
        paint = app.painted("head").paint

        def heard(lines: Sequence[StyledLine]) -> None:
            said.add(lines[1][0][0].partition("   0.0 msg/s")[0])
            paint(lines)

        monkeypatch.setattr(app.painted("head"), "paint", heard)
        await until(pilot, lambda: len(asked) >= 2)
        assert said == {"1 actor   all well"}

    on_screen(env, look)


def test_wide_letters_take_two_places(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("slash", *"ther", "\u6e29")
        text = await seen(pilot, "nothing matches 'ther\u6e29'")
        assert "/ther\u6e29" in text and all(cell_len(line) == SIZE[0] for line in text.splitlines())

    on_screen(env, look)


def test_without_unicode_nothing_but_ascii_is_drawn(env: DashboardEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "ANSI_X3.4-1968")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        assert (await seen(pilot, LINE)).isascii()
        assert (await press(pilot, "question_mark", shows="keys of")).isascii()
        assert (await press(pilot, "escape", "j", "enter", shows="mailbox")).isascii()
        await pilot.press("escape")
        assert (await press(pilot, "r", shows="restart")).isascii()
        assert (await press(pilot, "escape", "t", shows="waiting for a message")).isascii()

    on_screen(env, look)


def test_no_color_draws_without_colours(env: DashboardEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    env.runtime.suspend(NAME, "it harms others")

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await seen(pilot, "1 in trouble")
        lines = app.painted("head").render_lines(Region(0, 0, *SIZE)) + app.painted("table").render_lines(
            Region(0, 0, *SIZE)
        )
        styles = [segment.style for line in lines for segment in line]
        colors = {style.color.get_truecolor() for style in styles if style and style.color}
        assert colors and all(color.red == color.green == color.blue for color in colors)

    on_screen(env, look)


def test_the_screen_has_its_size_again_after_a_resize(env: DashboardEnv) -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.resize_terminal(120, 30)
        await seen(pilot, rf"{NAME} +ok")
        await until(pilot, lambda: len(screen(pilot)) == 30)
        await pilot.resize_terminal(60, 12)
        assert "p50" not in await seen(pilot, rf"actor +health.*{LINE}ok")

    on_screen(env, look)
