"""The log of a container as it is written: followed, wrapped, searched."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeedge_actors.dashboard.screens import CLOSE, page
from kubeedge_actors.dashboard.textual_imports import ComposeResult, Input, ModalScreen, Static, VerticalScroll

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.background_client import BackgroundClient, OpenStream

LINES, TAIL = 5_000, 500
"""Lines that are kept here, and of those that were there before."""
KEYS = "f follow  w wrap  / search  n next  esc back"


class LogScreen(ModalScreen[None]):
    """Follows from the last lines on."""

    BINDINGS = [
        *CLOSE,
        ("f", "follow", "follow"), ("w", "wrap", "wrap"), ("slash", "search", "search"), ("n", "next", "next"),
        ("g", "home", "first"), ("G", "end", "last"),
    ]  # fmt: skip

    def __init__(self, client: BackgroundClient, namespace: str, pod: str, container: str) -> None:
        super().__init__()
        self._asker = client
        self._target = {"namespace": namespace, "pod": pod, "container": container}
        self._lines: deque[str] = deque(maxlen=LINES)
        self._rest = ""
        self._follows, self._at, self._pattern, self._sentence = True, -1, "", KEYS
        self._is_drawn = True
        self._listening: OpenStream | None = None

    def compose(self) -> ComposeResult:
        """The log, a line to search by, what there is to say."""
        with VerticalScroll() as box:
            box.border_title = f"log of {self._target['namespace']}/{self._target['pod']} {self._target['container']}"
            yield Static(id="log", markup=False)
        yield Input(id="pattern", compact=True)
        yield Static(KEYS, id="said", markup=False)

    def on_mount(self) -> None:
        """Begin to read."""
        self.query_one(VerticalScroll).focus()
        request = {**self._target, "follow": True, "tail": TAIL}
        self._listening = self._asker.stream("podlogs", self._add, self._ended, **request)
        self.query_one("#log", Static).update("nothing has been written yet")
        self.set_interval(0.25, self._draw)

    def on_unmount(self) -> None:
        """Read no longer."""
        if self._listening is not None:
            self._listening.cancel()

    def _add(self, answer: Mapping[str, Any]) -> None:
        if "data" in answer:
            *lines, self._rest = (self._rest + base64.b64decode(answer["data"]).decode("utf-8", "replace")).split("\n")
            self._lines.extend(map(page, lines))
            self._is_drawn = False
        elif answer.get("end"):
            self._ended("the log has ended")

    def _ended(self, sentence: str) -> None:
        self._sentence, self._is_drawn = sentence, False

    def _draw(self) -> None:
        """A few times a second, however fast it is written."""
        if self._is_drawn or not self.is_attached:
            return
        self._is_drawn = True
        self.query_one("#log", Static).update("\n".join([*self._lines, page(self._rest)]))
        self.query_one("#said", Static).update(
            f"{'following' if self._follows else 'standing still'}   {self._sentence}"
        )
        if self._follows:
            self.query_one(VerticalScroll).scroll_end(animate=False)

    def action_follow(self) -> None:
        """Go on at the end, or stand still."""
        self._follows, self._is_drawn = not self._follows, False

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self.query_one("#log", Static).toggle_class("unwrapped")

    def action_home(self) -> None:
        """To the first line that is kept."""
        self._follows, self._is_drawn = False, False
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def action_end(self) -> None:
        """To the last one, and follow."""
        self._follows, self._is_drawn = True, False

    def action_search(self) -> None:
        """Take what is searched."""
        field = self.query_one("#pattern", Input)
        field.value, field.display = "", True
        field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look for it."""
        event.stop()
        self._pattern, self._at = event.value, -1
        event.input.display = False
        self.query_one(VerticalScroll).focus()
        self.action_next()

    def action_next(self) -> None:
        """The next line with it, from the beginning after the last."""
        lines = list(self._lines)
        found = [at for at, line in enumerate(lines) if self._pattern and self._pattern.lower() in line.lower()]
        if not found:
            self._ended(f"{self._pattern!r} is in none of {len(lines)} lines")
            return
        self._at = next((at for at in found if at > self._at), found[0])
        self._follows = False
        self._ended(f"line {self._at + 1}: {lines[self._at]}")
        self.query_one(VerticalScroll).scroll_to(y=self._at, animate=False)
