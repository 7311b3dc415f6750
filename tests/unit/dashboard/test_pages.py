"""What is drawn over the lists, and the past of the list of actors: driven by keys, with a node that answers what is written down."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("textual", reason="the dashboard is an extra")

from textual.pilot import Pilot

from kubeedge_actors.dashboard.app import Dashboard
from kubeedge_actors.dashboard.views.log_lines import LogLines
from tests.unit.dashboard.screens import SIZE, press, seen, until
from tests.unit.dashboard.scripted_node import ScriptedClient
from tests.unit.dashboard.test_pictures import scripted

Look = Callable[[Pilot[None], Dashboard], Awaitable[None]]


def on_scripted_node(look: Look, view: str = "actors", size: tuple[int, int] = SIZE) -> None:
    async def run() -> None:
        app = Dashboard([ScriptedClient(Path("edge"))], interval=0.1, view=view)
        async with app.run_test(size=size) as pilot:
            await seen(pilot, "1 in trouble: press hung 48s")
            await look(pilot, app)

    with scripted():
        asyncio.run(run())


def test_a_log_is_followed_wrapped_and_searched_both_ways() -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await press(
            pilot,
            "slash",
            *"mapper",
            "enter",
            "l",
            shows=r"log of default/mapper-0 mapper.*99 the press .*following, 100 lines",
        )
        await press(
            pilot, "slash", *"error", "enter", shows=r"\n90 the press says ERROR.*'error' is in 10 lines; line 91"
        )
        await press(pilot, "n", shows=r"\n0 the press says ERROR.*line 1\b")
        await press(pilot, "N", shows=r"line 91")
        text = await press(pilot, "w", shows="long lines are cut")
        assert len(re.findall(r"\n\d+ the press", text)) == 21
        await press(pilot, "right", shows=r"\nbout a very|\n.{0,20}very long matter a")
        await press(pilot, "f", shows="following")
        await press(pilot, "pageup", shows="from line")
        await press(pilot, "escape", shows="mapper-0 +1/1")

    on_scripted_node(look, "pods")


def test_a_log_stands_still_while_it_grows_and_a_character_may_come_in_two_parts() -> None:
    log = LogLines()
    for part in (b"one\ntwo\nth", b"ree \xc3", b"\xbc\n", b"last"):
        log.add(part)
    assert [row[0][0] for row in log.rows(20, 9)] == ["one", "two", "three ü", "last"]
    assert [row[0][0] for row in log.rows(3, 3)] == ["ü", "las", "t"]
    log.move(-1, 2)
    before = log.rows(20, 2)
    log.add(b" line\nmore\n")
    assert log.rows(20, 2) == before
    log.move(9, 2)
    assert log.top is None
    log.pattern = "two"
    assert log.search(-1, 3, 4) == 1
    assert ("chosen" in {style for row in log.rows(3, 4) for _, style in row}) and log.top == 0


def test_an_actor_up_close_has_its_past_its_graph_its_failures_and_its_spec_within_80_columns() -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await until(pilot, lambda: app.watched.history.end > 0)
        await press(pilot, "slash", *"alarm", "enter", "enter", shows=r"msg/s .*█.* 41.0 +45.1")
        await seen(pilot, r"devicetwin +TwinUpdated +41.0 ─┬─▶ alarm ──▶ eventbus +MqttPublish +2.5")
        text = await press(pilot, "G", shows="mailbox +capacity 1000, overflow block\n?")
        assert "^^^^" not in text and "float(value)" in text

    on_scripted_node(look)


def test_the_past_is_told_as_the_past_and_what_is_not_kept_of_it_is_not_shown() -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await until(pilot, lambda: app.watched.history.end > 0)
        text = await press(
            pilot, "left_square_bracket", shows=r"as it was at 14:59:55, 5s ago   165 msg/s   286 queued"
        )
        assert "hung" not in text and "trouble" not in text
        await press(pilot, "escape", shows="1 in trouble")
        await press(pilot, "8", "left_square_bracket", shows="the past: in :actors only")

    on_scripted_node(look)


def test_in_an_order_the_actors_stand_alone_and_a_filter_finds_what_is_collapsed() -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        text = await press(pilot, "greater_than_sign", shows="sorted by actor")
        assert "- edge" not in text and re.search(r"\n alarm .*\n devicetwin .*\n edged ", text)
        await press(pilot, "escape", "j", "j", "left", shows=r"\+ edge +1 not ok")
        text = await seen(pilot, "9 actors   1 in trouble")
        assert "alarm" not in text and "press " in text
        await press(pilot, "slash", *"alarm", shows=r"\n +alarm +ok")

    on_scripted_node(look)


def test_an_action_is_for_all_that_are_marked_and_says_of_each_what_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedClient, "orders", [])

    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        await press(pilot, "slash", *"ed", "enter", "a", shows="marked")
        await press(pilot, "r", shows=r"restart 3 actors \(edgestream, edged, edgehub\)\?")
        await press(pilot, "y", shows=r"edgestream was restarted; edged was restarted; edgehub was restarted")

    on_scripted_node(look, size=(100, 30))
    assert sorted(str(actor) for _, actor in ScriptedClient.orders) == ["edged", "edgehub", "edgestream"]


def test_events_come_from_the_beginning_the_newest_first_and_a_pod_has_its_own() -> None:
    async def look(pilot: Pilot[None], app: Dashboard) -> None:
        text = await press(pilot, "6", shows=r"Overflowed +press.*Failed +alarm")
        assert re.search(r"DeadLettered +alarm +TwinUpdated: its handler", text)
        await press(pilot, "y", shows="copied: Overflowed press")
        await press(pilot, "3", "e", shows=r"events of default/trainer.*Warning +BackOff +x1 +again")

    on_scripted_node(look)
