"""The screen: a table of actors that is drawn anew every second."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeedge_actors.control.actor_table import NARROW, WIDEST, Row, actor_rows, narrow_cells, summary_text
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.control.formatting import (
    aligned,
    databases_text,
    link_text,
    process_text,
    sparkline,
    traffic_rows,
    traffic_totals,
)
from kubeedge_actors.dashboard.background_client import BackgroundClient
from kubeedge_actors.dashboard.screens import DeadLetterScreen, TextScreen, TraceScreen
from kubeedge_actors.dashboard.textual_imports import App, ComposeResult, DataTable, Footer, Static

HISTORY = 7
ENDINGS = 0.25
"""Seconds between two looks whether a signal asks for the end."""
COLUMNS = (*NARROW[:4], "trend", *NARROW[4:])
WIDTHS = (WIDEST, 10, 5, 6, HISTORY, 5, 5, 8)
NUMBERS = (False, False, True, True, False, True, True, True)
"""With a space around each they are what a screen of 80 columns holds, a scroll bar left over."""
HELP = """\
up, down   choose an actor; its last error is shown below the table
r          restart it: a new instance, also when it hangs; the mailbox stays
u          resume it when it is suspended
e          its last errors, with their tracebacks
t          follow the messages to it, and what they lead to;
           enter there follows one message alone
d          dead letters; there enter shows one, p replays it, x drops it
b          bytes on the link, by module and kind
q          quit

health     ok, slow, blocked (it waits for another), hung (it does not come
           back from a message), restarting, down, suspended, removed
queue      messages that wait            msg/s, trend   handled a second
p50, p99   handling time                 restarts       of late
"""


class Dashboard(App[None]):
    """Watches one control socket; `interval` in seconds. `trace`: an id to follow from the beginning."""

    TITLE = "kubeedge_actors"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #facts { height: auto; padding: 0 1; text-style: bold; }
    #title { height: auto; padding: 0 1; text-style: bold; background: $primary; }
    #said { height: auto; padding: 0 1; }
    #problem { height: auto; padding: 0 1; color: $error; }
    DataTable { height: 1fr; scrollbar-size-vertical: 1; }
    """
    BINDINGS = [
        ("q", "quit", "quit"),
        ("r", "restart", "restart"),
        ("u", "resume", "resume"),
        ("e", "errors", "errors"),
        ("d", "deadletters", "dead letters"),
        ("t", "follow", "follow"),
        ("b", "bytes", "bytes"),
        ("question_mark", "help", "help"),
    ]

    def __init__(
        self,
        client: ControlClient,
        interval: float = 1.0,
        trace: str = "",
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._ended = ended
        self._client = BackgroundClient(self, client)
        self._path = client.path
        self._interval = interval
        self._trace = trace
        self._looking = False
        self._answer: Mapping[str, Any] = {}
        self._rates: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self._shown: list[Row] = []

    def compose(self) -> ComposeResult:
        """Facts above, the table, what the chosen actor's error or our own trouble is, keys below."""
        yield Static(f"connecting to {self._path} ...", id="facts", markup=False)
        yield DataTable(cursor_type="row", zebra_stripes=True)
        yield Static(id="problem", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to ask."""
        table = self.query_one(DataTable)
        for label, width in zip(_righted(COLUMNS), WIDTHS, strict=True):
            table.add_column(label, width=width)
        self.refresh_now()
        self.set_interval(self._interval, self.refresh_now)
        self.set_interval(ENDINGS, self._end_if_asked)
        if self._trace:
            self.push_screen(TraceScreen(self._client, message_id=self._trace))

    def _end_if_asked(self) -> None:
        """By a signal: the terminal is gone, or somebody kills us."""
        if self._ended():
            self.exit()

    def on_unmount(self) -> None:
        """Wait for no answer any more."""
        self._client.close()

    # --- looking --------------------------------------------------------------------------------------------------

    def refresh_now(self) -> None:
        """Ask once, unless the last question is still open, and draw what comes."""
        if not self._looking:
            self._looking = True
            self._client.fetch_tree(self._draw, self._missed)

    def _missed(self, sentence: str) -> None:
        self._looking = False
        self._say(sentence)

    def _draw(self, answer: Mapping[str, Any]) -> None:
        self._looking = False
        self._answer = answer
        self._main("#facts").update(header_text(answer))
        self._shown = actor_rows(answer)
        table = self._table
        cursor, top = table.cursor_row, table.scroll_y
        table.clear()
        for row in self._shown:
            cells = narrow_cells(row)
            table.add_row(*_righted((*cells[:4], self._spark(row), *cells[4:])))
        table.move_cursor(row=cursor, scroll=False)
        table.scroll_to(y=top, animate=False)
        self._tell_of_the_chosen()

    def on_data_table_row_highlighted(self) -> None:
        """The cursor moved."""
        if self.screen_stack:  # it comes once more while the screens go
            self._tell_of_the_chosen()

    # --- keys -----------------------------------------------------------------------------------------------------

    def action_restart(self) -> None:
        """Restart the actor under the cursor."""
        self._act("restart", "restarted")

    def action_resume(self) -> None:
        """Resume the actor under the cursor."""
        self._act("resume", "resumed")

    def _act(self, command: str, state: str) -> None:
        row = self._chosen()
        if row is None or not row.name:
            self._say(f"a supervisor is not {state}: choose one of its actors")
        else:
            self._client.ask(command, lambda name: self._say(f"{name} is {state}"), self._say, actor=row.name)

    def action_errors(self) -> None:
        """Show the last errors of the actor under the cursor."""
        row = self._chosen()
        if row is None:
            return
        actor, last = row.cells[0].strip(), row.error

        def show(errors: list[dict[str, Any]]) -> None:
            texts = [f"{crash['error']}\n\n{crash['traceback']}" for crash in reversed(errors)]
            self.push_screen(
                TextScreen(f"last errors of {actor}", "\n".join(texts) or last or f"{actor} has not failed")
            )

        self._client.ask("errors", show, self._say, actor=row.name)

    def action_deadletters(self) -> None:
        """The dead letters, to show, replay and drop."""
        self.push_screen(DeadLetterScreen(self._client))

    def action_follow(self) -> None:
        """Follow the messages to the actor under the cursor; a supervisor's line: to anybody."""
        row = self._chosen()
        self.push_screen(TraceScreen(self._client, actor=row.name if row is not None else ""))

    def action_bytes(self) -> None:
        """What went over the link."""
        lines = [("", "module", "kind", "frames", "bytes"), *traffic_rows(self._answer)]
        text = aligned(lines) if len(lines) > 1 else "nothing went over a link"
        self.push_screen(TextScreen(f"on the link: {traffic_totals(self._answer)}", text))

    def action_help(self) -> None:
        """What the keys and columns mean."""
        self.push_screen(TextScreen("help", HELP))

    # --- parts of the screen --------------------------------------------------------------------------------------

    @property
    def _table(self) -> DataTable[str]:
        return self.screen_stack[0].query_one(DataTable)

    def _main(self, selector: str) -> Static:
        return self.screen_stack[0].query_one(selector, Static)

    def _chosen(self) -> Row | None:
        at = self._table.cursor_row
        return self._shown[at] if 0 <= at < len(self._shown) else None

    def _tell_of_the_chosen(self) -> None:
        row = self._chosen()
        self._say(f"{row.cells[0].strip()}: {row.error}" if row is not None and row.error else "")

    def _say(self, sentence: str) -> None:
        self._main("#problem").update(sentence)

    def _spark(self, row: Row) -> str:
        if not row.name:
            return ""
        self._rates[row.name].append(row.rate)
        return sparkline(self._rates[row.name], HISTORY)


def header_text(answer: Mapping[str, Any]) -> str:
    """The lines above the table."""
    lines = [
        summary_text(answer),
        "   ".join(filter(None, (process_text(answer), link_text(answer)))),
        "   ".join(filter(None, (traffic_totals(answer), databases_text(answer)))),
    ]
    return "\n".join(filter(None, lines))


def _righted(cells: Sequence[str]) -> list[str]:
    """Numbers to the right."""
    return [cell.rjust(w) if right else cell for cell, w, right in zip(cells, WIDTHS, NUMBERS, strict=True)]
