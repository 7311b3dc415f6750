"""How a list is looked at: whatever comes, the cursor stays on its line, and filter and order lose nothing."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from kubeedge_actors.dashboard.history import KEPT, History
from kubeedge_actors.dashboard.keys import HINTS, help_text, hints_text
from kubeedge_actors.dashboard.lines import TROUBLE, Column, TableLine, by_column, drawn, fitted, matches, trend
from kubeedge_actors.dashboard.painted import changed
from kubeedge_actors.dashboard.table_state import TableState
from kubeedge_actors.dashboard.views.tables import VIEWS
from kubeedge_actors.dashboard.watched import Watched
from kubeedge_actors.osutil.text_width import beginning, ending, padded, places, text_width

COLUMNS = (Column("name", 4, middle=True), Column("value", 3, rank=1, right=True), Column("why", 5, 20, rank=2))
LINES = st.lists(
    st.builds(
        lambda key, value, why: TableLine(key, (key, str(value), why), (key, value, why)),
        st.text("abcxyz-1\u6e29\u5ea6\U0001f525", min_size=1, max_size=8),
        st.none() | st.integers(0, 99),
        st.text("no \x1b", max_size=9),
    ),
    unique_by=lambda line: line.key,
    max_size=12,
)


@given(LINES, st.data())
def test_the_cursor_stays_on_its_line_and_returns_to_it_when_it_is_back(
    lines: list[TableLine], data: st.DataObject
) -> None:
    state = TableState()
    state.take(lines)
    state.move(data.draw(st.integers(-3, 15)))
    state.hold()
    wanted = state.chosen
    others = [line for line in lines if line.key != wanted]
    state.take(data.draw(st.permutations(lines)))
    assert state.chosen == wanted
    state.take(others)
    assert state.chosen in {line.key for line in others} | {""}
    state.take(lines)
    assert state.chosen == wanted


def test_the_cursor_at_the_top_stays_there_until_somebody_acts_and_where_the_wanted_one_is_hidden_on_what_is_shown() -> (
    None
):
    state = TableState()
    lines = {key: TableLine(key, (key, "", "")) for key in "abcd"}
    state.take([lines["a"], lines["b"]])
    state.take([lines["c"], lines["a"], lines["b"]])
    assert state.chosen == "c"
    state.move(1)
    state.take([lines["c"], lines["b"]])  # a, which was chosen, is hidden by a filter: b takes its place ...
    state.take([lines["b"], lines["c"]])
    assert (state.chosen, state.wanted) == ("b", "a")  # ... and keeps it when it moves
    state.hold()
    state.take([lines["a"], lines["c"], lines["b"]])
    assert state.chosen == "b"


@given(LINES, st.integers(0, 2), st.booleans(), st.text("abx1", max_size=3))
def test_filter_and_order_lose_nothing(lines: list[TableLine], column: int, down: bool, pattern: str) -> None:
    state = TableState(filter=pattern, order=column, down=down)
    state.take(lines)
    assert {line.key for line in state.shown} == {line.key for line in lines if not pattern or matches(line, pattern)}
    assert len(state.shown) == len({line.key for line in state.shown})
    values = [
        line.order[column] for line in by_column(lines, column, down=down) if line.order[column] not in (None, "")
    ]
    assert values == sorted(values, reverse=down)


@given(LINES, st.integers(1, 60), st.integers(1, 15))
def test_what_is_drawn_fits_and_has_the_chosen_line(lines: list[TableLine], width: int, height: int) -> None:
    state = TableState()
    state.take(lines)
    state.move(5)
    styled = state.drawn(COLUMNS, width, height)
    assert len(styled) <= max(2, height)
    assert not lines or any(style == "chosen" for line in styled for _, style in line)
    assert not any("\x1b" in text for line in styled for text, _ in line)
    widths = fitted(COLUMNS, lines, width)
    assert 0 in widths and (sum(widths.values()) + len(widths) - 1 <= width or len(widths) == 1)
    assert all(cell_len(drawn(line.cells, COLUMNS, widths)) == sum(widths.values()) + len(widths) - 1 for line in lines)


@given(st.text("ab \u6e29\u5ea6\u0301\U0001f525\ufe0f\u2764\uff8a\ud55c"), st.integers(0, 9))
def test_a_place_is_what_the_terminal_takes_for_one(text: str, width: int) -> None:
    """Textual, which crops lines, counts them in the same way, and so do terminals."""
    text = text.lstrip("\u0301\ufe0f")  # marks on nothing
    assert text_width(text) == len(places(text)) == cell_len(text)
    assert cell_len(beginning(text, width)) <= width >= cell_len(ending(text, width))
    assert text.startswith(beginning(text, width)) and text.endswith(ending(text, width))
    assert cell_len(padded(text, width)) == max(width, text_width(text))


@given(st.text("ab\u6e29\U0001f525", max_size=6), st.text("ab\u6e29\U0001f525", max_size=6))
def test_what_changed_is_repainted_by_places(old: str, new: str) -> None:
    span = changed(((old, ""),), ((new, ""),))
    begin, end = span or (0, 0)
    before, after = (places(padded(text, 12)) for text in (old, new))
    assert before[:begin] + after[begin:end] + before[end:] == after


def test_marks_are_for_what_is_shown() -> None:
    state = TableState()
    state.take([TableLine(key, (key, "", "")) for key in "abc"])
    state.mark()
    state.mark()
    assert [line.key for line in state.meant()] == ["a", "b"]
    state.take([TableLine(key, (key, "", "")) for key in "bc"])
    assert [line.key for line in state.meant()] == ["b"]


@given(st.lists(st.none() | st.floats(0, 1e6), max_size=20), st.integers(1, 12), st.floats(0, 1e6))
@example([1e6], 1, 5e-324)
def test_a_trend_is_as_wide_as_asked(values: list[float | None], width: int, most: float) -> None:
    assert len(trend(values, width, most)) == width


def history_of(end: float, **values: list[float | None]) -> dict[str, object]:
    return {"step": 5.0, "end": end, "actors": {name: {"p99": each} for name, each in values.items()}}


def test_the_history_is_put_together_and_bounded() -> None:
    history = History()
    history.add(history_of(100.0, a=[1.0, 2.0]))
    history.add(history_of(110.0, a=[3.0, None], b=[7.0]))
    assert history.series("a", "p99")[-4:] == [1.0, 2.0, 3.0, None]
    assert history.series("b", "p99")[-2:] == [None, 7.0]
    assert history.series("a", "p99", back=1)[-1] == 3.0
    history.add(history_of(110.0 + 5 * KEPT * 2, a=[1.0] * KEPT))
    assert len(history.series("a", "p99")) == KEPT


def test_slow_is_who_is_over_its_own_usual_p99_for_two_steps() -> None:
    history = History()
    history.add(history_of(200.0, a=[0.01] * 20, b=[0.01] * 20, c=[0.0001] * 20))
    history.add(history_of(210.0, a=[0.05, 0.05], b=[0.05, 0.01], c=[0.005, 0.005]))
    assert [history.is_slower_than_usual(name) for name in "abc"] == [True, False, False]


def tree(pid: int) -> dict[str, object]:
    root = {"kind": "supervisor", "name": "root", "state": "running", "restarts": 0, "children": []}
    return {"tree": root, "process": {"pid": pid, "side": "edge", "name": "e", "rss": 1, "cpu": 0.0}, "dead_letters": 0}


def test_another_process_at_the_same_socket_begins_anew() -> None:
    watched = Watched("e", clock=lambda: 1000.0)
    assert not watched.heard(tree=tree(1))
    watched.history.add(history_of(100.0, a=[1.0]))
    watched.missed("nothing answers")
    assert "NO ANSWER since" in watched.head(watched.actor_lines(), 80)[1][0]
    assert watched.heard(tree=tree(2))
    assert watched.history.length == 0 and "all well" in watched.head(watched.actor_lines(), 80)[1][0]


def test_a_link_that_is_down_and_the_worst_actor_are_told_above_in_any_width() -> None:
    watched = Watched("e", clock=lambda: 1000.0)
    link = {"state": "down", "since": 900.0, "attempts": 7, "reason": "the network is unreachable, and so on and so on"}
    watched.heard(tree={**tree(1), "link": link})
    (first, style), _ = watched.head(watched.actor_lines(), 60)
    assert len(first) == 60 and "link down for" in first and style == "trouble"
    bad = TableLine(
        "press", ("press",), severity=TROUBLE, detail="it does not come back", data={"state": "hung 9s", "word": "hung"}
    )
    state, style = watched.head([bad], 78)[1]
    assert (
        state == "1 actor   1 in trouble: press hung 9s (it does not co…)   0.0 msg/s   0 queued" and style == "trouble"
    )
    assert "press hung 9s" in watched.head([bad], 30)[1][0]


def test_help_fits_80_columns_and_the_hints_any() -> None:
    assert all(len(line) <= 74 for view in VIEWS for line in help_text(view).splitlines())
    for view in HINTS:
        assert len(hints_text(view, 60)) <= 60 and "? help" in hints_text(view, 1)
