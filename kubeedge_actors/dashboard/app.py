"""The screen: a table of actors that is drawn anew every second. textual is imported here and nowhere else."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Static

from kubeedge_actors.dashboard.client import ControlClient
from kubeedge_actors.dashboard.rows import NARROW, WIDEST, Row, narrow, rows, spark, summary
from kubeedge_actors.errors import KubeEdgeActorsError

HISTORY = 7
COLUMNS = (*NARROW[:4], "trend", *NARROW[4:])
WIDTHS = (WIDEST, 8, 5, 6, HISTORY, 5, 5, 8)
NUMBERS = (False, False, True, True, False, True, True, True)
"""With a space around each they are what a screen of 80 columns holds, a scroll bar left over."""


class Page(ModalScreen[None]):
    """A page of text over the table; any of these keys closes it."""

    BINDINGS = [
        Binding("escape,q,enter", "dismiss", "close", key_display="esc"),
    ]
    CSS = "Page VerticalScroll { border: round $primary; padding: 0 1; }"

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """Only the text."""
        with VerticalScroll() as box:
            box.border_title = self._title
            yield Static(self._text, markup=False)
        yield Footer()


class Dashboard(App[None]):
    """Watches one control socket; `interval` in seconds."""

    TITLE = "kubeedge_actors"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #facts { height: auto; padding: 0 1; text-style: bold; }
    #problem { height: auto; padding: 0 1; color: $error; }
    DataTable { height: 1fr; scrollbar-size-vertical: 1; }
    """
    BINDINGS = [
        ("q", "quit", "quit"),
        ("r", "restart", "restart"),
        ("e", "errors", "last error"),
        ("d", "deadletters", "dead letters"),
    ]

    def __init__(self, client: ControlClient, interval: float = 1.0) -> None:
        super().__init__()
        self._client = client
        self._interval = interval
        self._rates: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self._shown: list[Row] = []

    def compose(self) -> ComposeResult:
        """Facts above, the table, what the chosen actor's error or our own trouble is, keys below."""
        yield Static(id="facts", markup=False)
        yield DataTable(cursor_type="row", zebra_stripes=True)
        yield Static(id="problem", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to ask."""
        table = self.query_one(DataTable)
        for label, width in zip(_aligned(COLUMNS), WIDTHS, strict=True):
            table.add_column(label, width=width)
        self.refresh_table()
        self.set_interval(self._interval, self.refresh_table)

    def refresh_table(self) -> None:
        """Ask once and draw."""
        answer = self._ask("tree")
        if answer is None:
            return
        self.screen_stack[0].query_one("#facts", Static).update(summary(answer))
        self._shown = rows(answer)
        table = self.screen_stack[0].query_one(DataTable)
        cursor, top = table.cursor_row, table.scroll_y
        table.clear()
        for row in self._shown:
            cells = narrow(row)
            table.add_row(*_aligned((*cells[:4], self._spark(row), *cells[4:])))
        table.move_cursor(row=cursor, scroll=False)
        table.scroll_to(y=top, animate=False)
        self._tell_of_the_chosen()

    def on_data_table_row_highlighted(self) -> None:
        """The cursor moved."""
        self._tell_of_the_chosen()

    def action_restart(self) -> None:
        """Restart the actor under the cursor."""
        row = self._chosen()
        if row is None or not row.name:
            self._say("a supervisor is not restarted: choose one of its actors")
        elif self._ask("restart", actor=row.name) is not None:
            self._say(f"{row.name} is restarted")

    def action_errors(self) -> None:
        """Show the last error of the actor under the cursor."""
        row = self._chosen()
        if row is not None:
            who = row.cells[0].strip()
            self.push_screen(Page(f"last error of {who}", row.error or f"{who} has not failed"))

    def action_deadletters(self) -> None:
        """Show the dead letters, the newest first."""
        letters = self._ask("deadletters")
        if letters is not None:
            text = "\n".join(_letter(each) for each in reversed(letters))
            self.push_screen(Page(f"dead letters: {len(letters)}", text or "every message was taken"))

    def _chosen(self) -> Row | None:
        at = self.screen_stack[0].query_one(DataTable).cursor_row
        return self._shown[at] if 0 <= at < len(self._shown) else None

    def _tell_of_the_chosen(self) -> None:
        row = self._chosen()
        self._say(f"{row.cells[0].strip()}: {row.error}" if row is not None and row.error else "")

    def _ask(self, command: str, **arguments: object) -> Any:
        try:
            return self._client.ask(command, **arguments)
        except KubeEdgeActorsError as error:
            self._say(str(error))
            return None

    def _say(self, sentence: str) -> None:
        self.screen_stack[0].query_one("#problem", Static).update(sentence)

    def _spark(self, row: Row) -> str:
        if not row.name:
            return ""
        self._rates[row.name].append(row.rate)
        return spark(self._rates[row.name], HISTORY)


def _aligned(cells: Sequence[str]) -> list[str]:
    """Numbers to the right."""
    return [cell.rjust(w) if right else cell for cell, w, right in zip(cells, WIDTHS, NUMBERS, strict=True)]


def _letter(letter: dict[str, Any]) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(letter["at"]))
    done = "  (replayed)" if letter["replayed"] else ""
    head = f"{letter['id'] or ''} {at} {letter['recipient'] or '(nobody)'}: {letter['reason']}{done}".lstrip()
    return "\n    ".join(filter(None, (head, letter["error"], letter["payload"])))
