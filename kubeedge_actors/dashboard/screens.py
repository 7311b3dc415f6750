"""The pages over the table: text, dead letters, followed messages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeedge_actors.control.formatting import SPAN_HEADINGS, SPAN_WIDTHS, ellipsize, span_cells
from kubeedge_actors.dashboard.textual_imports import (
    Binding,
    ComposeResult,
    DataTable,
    Footer,
    ModalScreen,
    Static,
    VerticalScroll,
    Worker,
)

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.background_client import BackgroundClient

EVERY = "*"
HOPS_KEPT = 500
LETTERS_SHOWN = 200
LETTER_HEADINGS = ("id", "time", "recipient", "message", "reason")
LETTER_WIDTHS = (4, 8, 16, 16, 24)


def _moment(seconds: float | None) -> str:
    """A moment on this machine's clock; empty when it has not come."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


class TextScreen(ModalScreen[None]):
    """A page of text; any of these keys closes it."""

    BINDINGS = [Binding("escape,q,enter", "dismiss", "close", key_display="esc")]
    CSS = "TextScreen VerticalScroll { border: round $primary; padding: 0 1; }"

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """Only the text."""
        with VerticalScroll() as box:
            box.border_title = self._title
            yield Static(self._text, markup=False)
        yield Footer()


class TableScreen(ModalScreen[None]):
    """A page with a table, and a line for what there is to say."""

    def __init__(
        self, title: str, headings: tuple[str, ...], widths: tuple[int, ...], client: BackgroundClient
    ) -> None:
        super().__init__()
        self._title, self._headings, self._widths = title, headings, widths
        self._asker = client

    def compose(self) -> ComposeResult:
        """The title, the table, the line, the keys."""
        yield Static(self._title, id="title", markup=False)
        yield DataTable(cursor_type="row", cell_padding=0)
        yield Static(id="said", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Columns, and the first question."""
        table = self.table
        for label, width in zip(self._headings, self._widths, strict=True):
            table.add_column(label, width=width + 1)
        self.load()

    def load(self) -> None:
        """What the page asks first."""

    @property
    def table(self) -> DataTable[str]:
        """The table."""
        return self.query_one(DataTable)

    def add_row(self, cells: tuple[str, ...]) -> None:
        """Add a row; what is too long is cut."""
        self.table.add_row(*(ellipsize(cell, width) for cell, width in zip(cells, self._widths, strict=True)))

    def show_status(self, sentence: str) -> None:
        """Show a sentence below the table."""
        if self.is_attached:
            self.query_one("#said", Static).update(sentence)


class DeadLetterScreen(TableScreen):
    """The dead letters, the newest first."""

    BINDINGS = [
        Binding("escape,q", "dismiss", "close", key_display="esc"),
        Binding("enter", "show", "show", priority=True),
        ("p", "replay", "replay"),
        ("x", "drop", "drop"),
    ]

    def __init__(self, client: BackgroundClient) -> None:
        super().__init__("dead letters", LETTER_HEADINGS, LETTER_WIDTHS, client)
        self._letters: list[dict[str, Any]] = []

    def load(self) -> None:
        """Ask for them."""
        self._asker.ask("deadletters", self._show_letters, self.show_status, newest=LETTERS_SHOWN)

    def _show_letters(self, letters: list[dict[str, Any]]) -> None:
        self._letters = list(reversed(letters))
        table = self.table
        cursor = table.cursor_row
        table.clear()
        self.query_one("#title", Static).update(f"dead letters: {len(letters)}")
        for letter in self._letters:
            at = time.strftime("%H:%M:%S", time.localtime(letter["at"]))
            status = "replayed" if letter["replayed"] else letter["reason"]
            self.add_row((str(letter["id"] or ""), at, letter["recipient"] or "(nobody)", letter["type"], status))
        table.move_cursor(row=min(cursor, max(0, len(letters) - 1)))
        if not letters:
            self.show_status("every message was taken")

    def _chosen(self) -> dict[str, Any] | None:
        at = self.table.cursor_row
        return self._letters[at] if 0 <= at < len(self._letters) else None

    def action_show(self) -> None:
        """All that is known of the chosen one."""
        letter = self._chosen()
        if letter is not None:
            fields = {**letter, **{name: _moment(letter[name]) for name in ("at", "replayed")}}
            lines = [f"{name:<11}{value}" for name, value in fields.items() if value not in ("", 0)]
            trace = f"\nThe traceback: python -m kubeedge_actors deadletters show {letter['id']}"
            more = trace if letter["error"] else ""
            self.app.push_screen(TextScreen(f"dead letter {letter['id']}", "\n".join(lines) + more))

    def action_replay(self) -> None:
        """Put the chosen one back into the mailbox it came from."""
        self._act("replay", "is back in the mailbox of {}")

    def action_drop(self) -> None:
        """Forget the chosen one."""
        self._act("drop", "is dropped")

    def _act(self, command: str, words: str) -> None:
        letter = self._chosen()
        if letter is None:
            return

        def done(answer: object) -> None:
            self.show_status(f"{letter['id']} {words.format(answer)}")
            self.load()

        self._asker.ask(command, done, self.show_status, id=letter["id"])


class TraceScreen(TableScreen):
    """Messages on their way: those to one actor and what they lead to, or one of them."""

    BINDINGS = [
        Binding("escape,q", "dismiss", "close", key_display="esc"),
        Binding("enter", "follow_one", "only this message", priority=True),
    ]

    def __init__(self, client: BackgroundClient, *, message_id: str = EVERY, actor: str = "") -> None:
        title = (
            f"messages to {actor or 'anybody'}, and what they lead to"
            if message_id == EVERY
            else f"message {message_id}"
        )
        super().__init__(title, SPAN_HEADINGS, SPAN_WIDTHS, client)
        self._wanted, self._actor = message_id, actor
        self._hops: list[str] = []
        self._worker: Worker[None] | None = None

    def load(self) -> None:
        """Follow from now on; of one message, what was seen of it before as well."""
        self.show_status("waiting for a message ...")
        self._worker = self._asker.stream(self._add_span, self.show_status, id=self._wanted, actor=self._actor)

    def on_unmount(self) -> None:
        """Follow no longer."""
        self._stop()

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.cancel()

    def _add_span(self, span: Mapping[str, Any]) -> None:
        if not self.is_attached:
            return
        table = self.table
        at_end = table.cursor_row >= len(self._hops) - 1
        if len(self._hops) >= HOPS_KEPT:
            self._stop()
            self.show_status(f"these are the first {HOPS_KEPT}; close and open the page to follow others")
            return
        self._hops.append(span["id"])
        self.add_row(span_cells(span))
        if at_end:
            table.move_cursor(row=len(self._hops) - 1)
        self.show_status(f"message {span['id']}: {span['type']} at {span['to'] or 'nobody'}: {span['outcome']}")

    def action_follow_one(self) -> None:
        """Follow the chosen message alone."""
        at = self.table.cursor_row
        if self._wanted == EVERY and 0 <= at < len(self._hops):
            self.app.push_screen(TraceScreen(self._asker, message_id=self._hops[at]))
