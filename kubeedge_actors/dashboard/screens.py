"""The pages over the table: text, dead letters, followed messages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeedge_actors.control.formatting import SPAN_HEADINGS, SPAN_WIDTHS, ellipsize, span_cells
from kubeedge_actors.dashboard.lines import speakable
from kubeedge_actors.dashboard.textual_imports import (
    Binding,
    ComposeResult,
    DataTable,
    Footer,
    ModalScreen,
    Static,
    VerticalScroll,
)
from kubeedge_actors.dashboard.views.tables import moment
from kubeedge_actors.osutil.printable import printable

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.background_client import BackgroundClient, OpenStream

ASCII_CLASS = "ascii"
"""Class of the app where nothing but ASCII is drawn."""
CSS = """
TextScreen VerticalScroll, LogScreen VerticalScroll { border: solid $primary; padding: 0 1; }
LogScreen .unwrapped { text-wrap: nowrap; }
LogScreen Input { height: 1; border: none; display: none; }
ConfirmScreen { align: center middle; }
ConfirmScreen Static { width: auto; max-width: 76; height: auto; border: solid $primary; padding: 0 2; }
.ascii VerticalScroll { border: ascii $primary; scrollbar-size: 0 0; }
.ascii DataTable { scrollbar-size: 0 0; }
.ascii ConfirmScreen Static { border: ascii $primary; }
"""
EVERY = "*"
HOPS_KEPT = 500
MOMENTS = ("at", "since", "replayed", "last_online", "actual_at", "expected_at", "checkpoint_at")
CLOSE = [Binding("escape,q", "dismiss", "back", key_display="esc")]


def fields_text(fields: Mapping[str, Any], indent: str = "") -> str:
    """Values by name, a line each, what is in them below.

    >>> print(fields_text({"a": 1, "b": {"c": [2, 3]}, "d": ""}))
    a  1
    b
      c  2, 3
    """
    shown = {name: value for name, value in fields.items() if value not in ("", None, [], {})}
    width = max((len(name) for name, value in shown.items() if not isinstance(value, Mapping)), default=0)
    lines = []
    for name, value in shown.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}", fields_text(value, indent + "  ")]
        elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
            lines += [
                f"{indent}{name}",
                *(
                    fields_text(each, indent + "  - ") if isinstance(each, Mapping) else f"{indent}  - {each}"
                    for each in value
                ),
            ]
        else:
            text = (
                ", ".join(map(str, value))
                if isinstance(value, list)
                else moment(value, time.time())
                if name in MOMENTS
                else str(value)
            )
            lines.append(f"{indent}{name:<{width}}  {text}")
    return "\n".join(lines)


def page(text: str) -> str:
    """A text of several lines as this terminal can show it: nothing in it moves a cursor, without Unicode it is ASCII."""
    return "\n".join(speakable(printable(line)) for line in text.split("\n"))


class TextScreen(ModalScreen[None]):
    """A page of text; escape, q or enter closes it."""

    BINDINGS = [
        Binding("escape,q,enter", "dismiss", "back", key_display="esc"),
        ("j", "scroll_by(1)", "down"), ("k", "scroll_by(-1)", "up"), ("g", "scroll_by(-100000)", "first"), ("G", "scroll_by(100000)", "last"),
    ]  # fmt: skip
    AUTO_FOCUS = "*"
    KEYS = "esc back"

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, page(text)

    def compose(self) -> ComposeResult:
        """Only the text."""
        with VerticalScroll() as box:
            box.border_title, box.border_subtitle = self._title, self.KEYS
            yield Static(self._text, id="text", markup=False)

    def show(self, text: str) -> None:
        """Another text, if it is another."""
        if page(text) != self._text and self.is_attached:
            self._text = page(text)
            self.query_one("#text", Static).update(self._text)

    def action_scroll_by(self, by: int) -> None:
        """Lines up or down."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


class ConfirmScreen(ModalScreen[bool]):
    """A question with yes or no."""

    BINDINGS = [("y,enter", "answer(True)", "yes"), ("n,escape,q", "answer(False)", "no")]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question, and how to answer."""
        yield Static(page(f"{self._question}\n\ny yes   n no (esc)"), markup=False)

    def action_answer(self, yes: bool) -> None:
        """Close with it."""
        self.dismiss(yes)


class TableScreen(ModalScreen[None]):
    """A page with a table, and a line for what there is to say."""

    AUTO_FOCUS = "*"

    def __init__(
        self, title: str, headings: tuple[str, ...], widths: tuple[int, ...], client: BackgroundClient
    ) -> None:
        super().__init__()
        self._title, self._headings, self._widths = title, headings, widths
        self._asker = client

    def compose(self) -> ComposeResult:
        """The title, the table, the line, the keys."""
        yield Static(self._title, id="title", markup=False)
        yield DataTable(cursor_type="row", cell_padding=0, zebra_stripes=False)
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
        self.table.add_row(*(page(ellipsize(cell, width)) for cell, width in zip(cells, self._widths, strict=True)))

    def show_status(self, sentence: str) -> None:
        """Show a sentence below the table."""
        if self.is_attached:
            self.query_one("#said", Static).update(sentence)


class TraceScreen(TableScreen):
    """Messages on their way: those to one actor and what they lead to, or one of them."""

    BINDINGS = [
        Binding("escape,q", "dismiss", "close", key_display="esc"),
        Binding("enter", "follow_one", "only this message", priority=True, key_display="enter"),
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
        self._listening: OpenStream | None = None

    def load(self) -> None:
        """Follow from now on; of one message, what was seen of it before as well."""
        self.show_status("waiting for a message ...")
        self._listening = self._asker.stream(
            "trace", self._add_span, self.show_status, id=self._wanted, actor=self._actor
        )

    def on_unmount(self) -> None:
        """Follow no longer."""
        self._stop()

    def _stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()

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
