"""The screen: a table of actors that is drawn anew every second. textual is imported here and nowhere else."""

from __future__ import annotations

from collections import defaultdict, deque

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Static

from kubeedge_actors.dashboard.client import ControlClient
from kubeedge_actors.dashboard.rows import HEADINGS, Row, facts, rows, spark
from kubeedge_actors.errors import KubeEdgeActorsError

HISTORY = 20


class Text(ModalScreen[None]):
    """A page of text over the table; any of these keys closes it."""

    BINDINGS = [("escape", "dismiss", "close"), ("q", "dismiss", "close"), ("enter", "dismiss", "close")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Only the text."""
        with VerticalScroll():
            yield Static(self._text, markup=False)
        yield Footer()


class Dashboard(App[None]):
    """Watches one control socket; `interval` in seconds."""

    TITLE = "kubeedge_actors"
    ENABLE_COMMAND_PALETTE = False
    CSS = "#facts, #problem { height: auto; padding: 0 1; } #problem { color: $error; } DataTable { height: 1fr; }"
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
        """Facts above, the table, keys below."""
        yield Static(id="facts", markup=False)
        yield DataTable(cursor_type="row", zebra_stripes=True)
        yield Static(id="problem", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to ask."""
        table = self.query_one(DataTable)
        table.add_columns(*HEADINGS[:5], "last 20 s", *HEADINGS[5:])
        self.refresh_table()
        self.set_interval(self._interval, self.refresh_table)

    def refresh_table(self) -> None:
        """Ask once and draw."""
        try:
            answer = self._client.ask("tree")
        except KubeEdgeActorsError as error:
            self._complain(str(error))
            return
        self.query_one("#facts", Static).update(facts(answer))
        self._shown = rows(answer)
        table = self.query_one(DataTable)
        cursor = table.cursor_row
        table.clear()
        for row in self._shown:
            table.add_row(*row.cells[:5], self._spark(row), *row.cells[5:])
        table.move_cursor(row=cursor)

    def action_restart(self) -> None:
        """Restart the actor under the cursor."""
        self._do("restart", actor=self._chosen())

    def action_errors(self) -> None:
        """Show the last error of the actor under the cursor."""
        row = self._shown[self.query_one(DataTable).cursor_row]
        self.push_screen(Text(row.cells[-1] or f"{row.cells[0].strip()} has not failed"))

    def action_deadletters(self) -> None:
        """Show the dead letters."""
        letters = self._do("deadletters") or []
        lines = [f"{one['recipient'] or '(nobody)'}: {one['reason']}\n    {one['payload']}" for one in letters]
        self.push_screen(Text("\n".join(lines) or "there are no dead letters"))

    def _chosen(self) -> str:
        return self._shown[self.query_one(DataTable).cursor_row].name

    def _do(self, command: str, **arguments: object) -> list[dict[str, object]] | None:
        try:
            answer: list[dict[str, object]] | None = self._client.ask(command, **arguments)
        except KubeEdgeActorsError as error:
            self._complain(str(error))
            return None
        self._complain("")
        return answer

    def _complain(self, sentence: str) -> None:
        self.query_one("#problem", Static).update(sentence)

    def _spark(self, row: Row) -> str:
        if not row.name:
            return ""
        self._rates[row.name].append(row.rate)
        return spark(self._rates[row.name], HISTORY)
