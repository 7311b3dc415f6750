"""Pages of text, and the question before something is changed."""

from __future__ import annotations

from kubeedge_actors.dashboard.lines import speakable
from kubeedge_actors.dashboard.textual_imports import (
    Binding,
    ComposeResult,
    ModalScreen,
    Static,
    VerticalScroll,
)
from kubeedge_actors.osutil.printable import printable

ASCII_CLASS = "ascii"
"""Class of the app where nothing but ASCII is drawn."""
CSS = """
ModalScreen { background: $background; }
TextScreen VerticalScroll { border: solid $primary; padding: 0 1; }
ConfirmScreen { align: center middle; background: $background 60%; }
ConfirmScreen Static { width: auto; max-width: 76; height: auto; border: solid $primary; padding: 0 2; }
TraceScreen #list, LogScreen #log { height: 1fr; }
TraceScreen #title, TraceScreen #said, TraceScreen #keys, LogScreen #title, LogScreen #said, LogScreen #keys { height: 1; padding: 0 1; }
LogScreen Input { height: 1; border: none; padding: 0 1; display: none; }
.ascii VerticalScroll { border: ascii $primary; scrollbar-size: 0 0; }
.ascii ConfirmScreen Static { border: ascii $primary; }
"""
CLOSE = [Binding("escape,q", "dismiss", "back", key_display="esc")]


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
            box.border_title, box.border_subtitle = page(self._title), self.KEYS
            yield Static(self._text, id="text", markup=False)

    def show(self, text: str) -> None:
        """Another text, if it is another."""
        if page(text) != self._text and self.is_attached:
            self._text = page(text)
            self.query_one("#text", Static).update(self._text)

    @property
    def width(self) -> int:
        """Characters that a line of the text may have."""
        return max(20, self.size.width - 6)

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
