"""Messages on their way: those to one actor and what they lead to, or one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeedge_actors.control.formatting import span_cells
from kubeedge_actors.dashboard.lines import FINE, NOTED, Column, TableLine
from kubeedge_actors.dashboard.pages.text import CLOSE
from kubeedge_actors.dashboard.painted import Painted
from kubeedge_actors.dashboard.table_state import TableState
from kubeedge_actors.dashboard.textual_imports import ComposeResult, ModalScreen

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.background_client import BackgroundClient, OpenStream

EVERY = "*"
HOPS_KEPT = 500
FAR = 1_000_000
WELL = ("handled", "answered")
COLUMNS = (
    Column("id", 4, 8, rank=2),
    Column("time", 12),
    Column("from", 9, 40, middle=True),
    Column("to", 9, 40, middle=True),
    Column("message", 12, 60),
    Column("wait", 5, right=True),
    Column("took", 5, right=True),
    Column("outcome", 8, 60),
    Column("its own id", 12, 40, rank=3),
)
REDRAW = 0.1
KEYS = "enter this message alone  j k g G PgUp PgDn  esc back"


class TraceScreen(ModalScreen[None]):
    """A list of hops as they come; the newest is the chosen one until another is chosen."""

    BINDINGS = [
        *CLOSE, ("enter", "follow_one", "only this message"),
        ("down,j", "move(1)", "down"), ("up,k", "move(-1)", "up"), ("pagedown", "page(1)", "page down"), ("pageup", "page(-1)", "page up"),
        ("home,g", f"move(-{FAR})", "first"), ("end,G", f"move({FAR})", "newest"),
    ]  # fmt: skip

    def __init__(
        self,
        client: BackgroundClient,
        *,
        message_id: str = EVERY,
        actor: str = "",
        seen: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        super().__init__()
        everything = f"messages to {actor or 'anybody'}, and what they lead to"
        self._title = everything if message_id == EVERY else f"message {message_id}"
        self._asker, self._wanted, self._actor = client, message_id, actor
        self._lines = [_line(at, span) for at, span in enumerate(seen)]
        self._state, self._sentence = TableState(), "" if seen else "waiting for a message ..."
        self._is_drawn = False
        self._listening: OpenStream | None = None

    def compose(self) -> ComposeResult:
        """What is followed, the hops, what there is to say, the keys."""
        yield Painted(id="title")
        yield Painted(id="list")
        yield Painted(id="said")
        yield Painted(id="keys")

    def on_mount(self) -> None:
        """Follow from now on; of one message, what was seen of it before as well."""
        self._listening = self._asker.stream("trace", self._add, self._say, id=self._wanted, actor=self._actor)
        self.set_interval(REDRAW, self._draw)

    def on_unmount(self) -> None:
        """Follow no longer."""
        self._stop()

    def on_resize(self) -> None:
        """Other widths."""
        self._is_drawn = False

    def _stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()

    def _say(self, sentence: str) -> None:
        self._sentence, self._is_drawn = sentence, False

    def _add(self, span: Mapping[str, Any]) -> None:
        if self._wanted != EVERY and any(span == line.data for line in self._lines):
            return  # the page that this one came from had it
        if len(self._lines) >= HOPS_KEPT:
            self._stop()
            self._say(f"these are the first {HOPS_KEPT}; close and open the page to follow others")
            return
        self._lines.append(_line(len(self._lines), span))
        self._say("")

    def _draw(self) -> None:
        """A few times a second, however fast they come; at the end it stays at the end."""
        if self._is_drawn or not self.is_attached:
            return
        self._is_drawn = True
        table = self.query_one("#list", Painted)
        is_at_end = self._state.at >= len(self._state.shown) - 1
        self._state.take(self._lines)
        if is_at_end:
            self._state.move(FAR)
        self.query_one("#title", Painted).paint([((self._title, "title"),)])
        table.paint(self._state.drawn(COLUMNS, table.size.width, table.size.height))
        line = self._state.line
        self.query_one("#said", Painted).paint([((self._sentence or (line.detail if line else ""), "noted"),)])
        self.query_one("#keys", Painted).paint([((f"{self._state.at + 1 if line else 0}/{len(self._lines)}   {KEYS}", "faint"),)])  # fmt: skip

    def action_move(self, by: int) -> None:
        """Choose another hop."""
        self._state.move(by)
        self._is_drawn = False
        self._draw()

    def action_page(self, by: int) -> None:
        """A screen up or down."""
        self.action_move(by * max(1, self.query_one("#list", Painted).size.height - 2))

    def action_follow_one(self) -> None:
        """Follow the message of the chosen hop alone."""
        line = self._state.line
        if self._wanted == EVERY and line is not None:
            name = line.data["id"]
            seen = tuple(each.data for each in self._lines if each.data["id"] == name)
            self.app.push_screen(TraceScreen(self._asker, message_id=name, seen=seen))


def _line(at: int, span: Mapping[str, Any]) -> TableLine:
    own = span["names"][0] if span.get("names") else ""
    cells = (span["id"], *span_cells(span), own)
    fine = any(span["outcome"].startswith(word) for word in WELL)
    detail = f"{span['id']}: {span['type']} at {span['to'] or 'nobody'}: {span['outcome']}"
    return TableLine(str(at), cells, cells, FINE if fine else NOTED, detail, span)
