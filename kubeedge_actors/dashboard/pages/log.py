"""The log of a container as it is written: followed, wrapped, searched."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kubeedge_actors.dashboard.pages.text import CLOSE
from kubeedge_actors.dashboard.painted import Painted
from kubeedge_actors.dashboard.textual_imports import ComposeResult, Input, ModalScreen
from kubeedge_actors.dashboard.views.log_lines import LogLines

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.background_client import BackgroundClient, OpenStream

TAIL = 500
"""Lines of those that were there before."""
FAR = 1_000_000
ASIDE = 20
"""Characters that a step to the side goes."""
REDRAW = 0.25
NOTHING = "nothing has been written yet"
KEYS = "f follow  w wrap  / search  n N  p previous  t times  esc back"


class LogScreen(ModalScreen[None]):
    """Follows from the last lines on."""

    BINDINGS = [
        *CLOSE,
        ("f", "follow", "follow"), ("w", "wrap", "wrap"), ("slash", "search", "search"), ("n", "find(1)", "next"), ("N", "find(-1)", "previous"),
        ("p", "previous", "log of the container before"), ("t", "times", "times"),
        ("down,j", "move(1)", "down"), ("up,k", "move(-1)", "up"), ("pagedown,space", "page(1)", "page down"), ("pageup", "page(-1)", "page up"),
        ("left,h", f"aside(-{ASIDE})", "left"), ("right", f"aside({ASIDE})", "right"),
        ("home,g", f"move(-{FAR})", "first"), ("end,G", f"move({FAR})", "last"),
    ]  # fmt: skip
    AUTO_FOCUS = ""

    def __init__(self, client: BackgroundClient, namespace: str, pod: str, container: str) -> None:
        super().__init__()
        self._asker = client
        self._target = {"namespace": namespace, "pod": pod, "container": container}
        self._previous = self._times = False
        self._log, self._sentence, self._is_drawn = LogLines(), "", False
        self._drawn_size: tuple[int, int] = (0, 0)
        self._listening: OpenStream | None = None

    def compose(self) -> ComposeResult:
        """Whose log it is, the log, a line to search by, what there is to say, the keys."""
        yield Painted(id="title")
        yield Painted(id="log")
        yield Painted(id="said")
        yield Input(id="pattern", compact=True, disabled=True)
        yield Painted(id="keys")

    def on_mount(self) -> None:
        """Begin to read."""
        self._begin()
        self.set_interval(REDRAW, self._draw)

    def on_unmount(self) -> None:
        """Read no longer."""
        if self._listening is not None:
            self._listening.cancel()

    def on_resize(self) -> None:
        """Other widths."""
        self._is_drawn = False
        self.call_after_refresh(self._draw)

    def _begin(self) -> None:
        """Read anew; what an earlier reading still says is not heard."""
        if self._listening is not None:
            self._listening.cancel()
        before = self._log
        self._log, self._sentence = LogLines(), NOTHING
        self._log.wraps, self._log.pattern = before.wraps, before.pattern
        request = {**self._target, "follow": not self._previous, "tail": TAIL, "previous": self._previous, "timestamps": self._times}  # fmt: skip
        heard, ended = (self._of(self._log, hear) for hear in (self._add, self._ended))
        self._listening = self._asker.stream("podlogs", heard, ended, **request)
        self._is_drawn = False

    def _of(self, log: LogLines, hear: Callable[[Any], None]) -> Callable[[Any], None]:
        return lambda answer: hear(answer) if log is self._log else None

    def _add(self, answer: Mapping[str, Any]) -> None:
        if "data" in answer:
            self._log.add(base64.b64decode(answer["data"]))
            self._sentence, self._is_drawn = "" if self._sentence == NOTHING else self._sentence, False
        elif answer.get("end"):
            self._ended("the log has ended" + ("" if self._previous else ": f reads it anew"))

    def _ended(self, sentence: str) -> None:
        self._say(sentence)
        self._listening = None

    def _say(self, sentence: str) -> None:
        self._sentence, self._is_drawn = sentence, False

    def _draw(self) -> None:
        """A few times a second, however fast it is written."""
        if not self.is_attached:
            return
        box, log = self.query_one("#log", Painted), self._log
        if self._is_drawn and self._drawn_size == box.size:
            return
        self._is_drawn, self._drawn_size = True, box.size
        name = "{namespace}/{pod} {container}".format(**self._target)
        title = f"log of {name}{', of the container before this one' if self._previous else ''}"
        box.paint(log.rows(box.size.width, box.size.height))
        where = "following" if log.top is None and self._listening is not None else f"from line {(log.top or 0) + 1}" if log.top is not None else "at its end"  # fmt: skip
        self.query_one("#title", Painted).paint([((title, "title"),)])
        self.query_one("#said", Painted).paint([((f"{where}, {log.count} lines   {self._sentence}", "noted"),)])
        self.query_one("#keys", Painted).paint([((KEYS, "faint"),)])

    def action_follow(self) -> None:
        """Go on at the end, or stand still; read anew what has ended."""
        log = self._log
        if log.top is None and self._listening is None:
            self._begin()
        elif log.top is None:
            log.move(0, self._height)
        else:
            log.top = None
        self._say("")

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self._log.wraps, self._log.left = not self._log.wraps, 0
        self._say("" if self._log.wraps else "long lines are cut: left, right")

    def action_previous(self) -> None:
        """The log of the container before the last restart, or of this one."""
        self._previous = not self._previous
        self._begin()

    def action_times(self) -> None:
        """With the time of each line, or without."""
        self._times = not self._times
        self._begin()

    def action_move(self, by: int) -> None:
        """Lines up or down."""
        self._log.move(by, self._height)
        self._say("")

    def action_page(self, by: int) -> None:
        """A screen up or down."""
        self.action_move(by * max(1, self._height - 1))

    def action_aside(self, by: int) -> None:
        """To the left or right."""
        self._log.move_sideways(by)
        self._say("w cuts long lines instead of wrapping them" if self._log.wraps else "")

    @property
    def _height(self) -> int:
        return self.query_one("#log", Painted).size.height

    def action_search(self) -> None:
        """Take what is searched."""
        field = self.query_one("#pattern", Input)
        field.value, field.display, field.disabled = "", True, False
        self.set_focus(field)

    async def action_dismiss(self, result: None = None) -> None:
        """Escape: out of the line first, then back."""
        if self.query_one("#pattern", Input).display:
            self._close_field()
        else:
            await super().action_dismiss(result)

    def _close_field(self) -> None:
        field = self.query_one("#pattern", Input)
        field.display, field.disabled = False, True
        self.set_focus(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look for it: upwards from the end when it is followed, downwards otherwise."""
        event.stop()
        self._log.pattern, self._log.found = event.value, -1
        self._close_field()
        self.action_find(-1 if self._log.top is None else 1)

    def action_find(self, by: int) -> None:
        """The next line with it, or the one before."""
        log = self._log
        if not log.pattern:
            self._say("nothing is searched: / first")
        elif count := log.search(by, self.query_one("#log", Painted).size.width, self._height):
            self._say(f"{log.pattern!r} is in {count} lines; line {log.found + 1}")
        else:
            self._say(f"{log.pattern!r} is in none of {log.count} lines")

    def on_mouse_scroll_down(self) -> None:
        """The wheel."""
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        """The wheel."""
        self.action_move(-3)
