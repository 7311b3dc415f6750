"""The line below the list: a filter, which acts while it is typed, or the name of a view."""

from __future__ import annotations

from kubeedge_actors.dashboard.textual_imports import Input

FILTER, VIEW = "/", ":"


class Prompt(Input):
    """Shown while somebody types in it; its first character says what for."""

    BINDINGS = [("escape", "leave", "back")]

    def __init__(self) -> None:
        super().__init__(id="prompt", compact=True, select_on_focus=False, disabled=True)  # disabled: it takes no keys

    def begin(self, sign: str, text: str = "") -> None:
        """Take what is typed."""
        self.disabled, self.display = False, True
        self.value = sign + text
        self.cursor_position = len(self.value)
        self.screen.set_focus(self)  # at once: the keys that come behind the sign are text, none of them acts

    def end(self) -> None:
        """Take no more."""
        self.disabled, self.display = True, False
        self.screen.set_focus(None)

    def action_leave(self) -> None:
        """Escape: as if nothing had been typed."""
        self.value = self.value[:1]
        self.end()
