"""Keys that every view has: choose a line, sort, filter, mark, another view, back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeedge_actors.dashboard.actions import Actions
from kubeedge_actors.dashboard.keys import help_text
from kubeedge_actors.dashboard.pages.text import TextScreen
from kubeedge_actors.dashboard.prompt import FILTER, VIEW, Prompt
from kubeedge_actors.dashboard.textual_imports import Input, events
from kubeedge_actors.dashboard.views.tables import ACTORS, VIEWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubeedge_actors.dashboard.lines import Column
    from kubeedge_actors.dashboard.painted import Painted
    from kubeedge_actors.dashboard.table_state import TableState
    from kubeedge_actors.dashboard.watched import Watched


class Navigation(Actions):
    """Changes how a list is looked at, never what is watched."""

    if TYPE_CHECKING:

        @property
        def state(self) -> TableState: ...
        @property
        def watched(self) -> Watched: ...
        @property
        def columns(self) -> Sequence[Column]: ...
        @property
        def prompt(self) -> Prompt: ...
        def painted(self, name: str) -> Painted: ...
        def draw(self) -> None: ...
        def show_view(self, name: str) -> None: ...
        def action_open(self) -> None: ...

    _search = ""

    def action_view(self, name: str) -> None:
        """Another view."""
        self.say("")
        self.show_view(name)

    def action_move(self, by: int) -> None:
        """Up or down."""
        self.state.move(by)
        self.say("")

    def action_page(self, by: int) -> None:
        """A screen up or down."""
        self.action_move(by * max(1, self.painted("table").size.height - 2))

    def action_order(self, by: int) -> None:
        """Sort by the next column."""
        self.state.order_next(self.columns, by)
        order = self.state.order
        self.say("as they come" if order is None else f"sorted by {self.columns[order].title}; i: the other way round")

    def action_invert(self) -> None:
        """Sort the other way round."""
        self.state.down = not self.state.down
        self.draw()

    def action_mark(self) -> None:
        """Mark the chosen line."""
        self.state.mark()
        self.draw()

    def action_mark_all(self) -> None:
        """Mark all lines that are shown."""
        self.state.mark_all()
        self.draw()

    def action_find(self, by: int) -> None:
        """The next line that matches what was searched last."""
        if self._search:
            self.state.find(self._search, by)
            self.say("")
        else:
            self.say("nothing is searched: / first")

    def action_copy(self) -> None:
        """The chosen line's name to the clipboard of the terminal (OSC 52)."""
        if (line := self.chosen()) is not None:
            self._copy(line.name)

    def action_copy_line(self) -> None:
        """The whole chosen line."""
        if (line := self.chosen()) is not None:
            self._copy("  ".join(cell.strip() for cell in line.cells if cell.strip()))

    def _copy(self, text: str) -> None:
        self._app.copy_to_clipboard(text)
        self.say(f"copied: {text}")

    def action_fold(self, closed: bool) -> None:
        """Collapse or expand a supervisor; of an actor, collapse the one it belongs to."""
        line = self.chosen()
        if self.view != ACTORS or line is None:
            return
        collapsed, own = self.watched.look.collapsed, line.data.get("supervisor", "")
        if not closed:
            collapsed.discard(own)
        elif name := own if own and own not in collapsed else line.data.get("parent", ""):
            collapsed.add(name)
            self.state.choose(f"/{name}")
        self.draw()

    def action_go_back(self, steps: int) -> None:
        """Look at an earlier moment, or a later one."""
        if self.view != ACTORS:
            self.say("the past: in :actors only")
            return
        most = max(0, self.watched.history.length - 1)
        self.watched.look.back = max(0, min(self.watched.look.back + steps, most))
        self.say("")

    def action_escape(self) -> None:
        """Back: to now, to all lines, to the order of the answer, to the actors."""
        state, look = self.state, self.watched.look
        self.say("")
        if look.back:
            look.back = 0
        elif state.filter or state.marked:
            state.filter, state.marked = "", set()
        elif state.order is not None:
            state.order = None
        elif self.view != ACTORS:
            self.show_view(ACTORS)
        self.draw()

    def action_help(self) -> None:
        """What the keys and columns mean."""
        self._app.push_screen(TextScreen(f"keys of :{self.view}", help_text(self.view)))

    # --- the line below -------------------------------------------------------------------------------------------

    def action_type(self, sign: str) -> None:
        """Take a filter, or the name of a view."""
        self.prompt.begin(sign, self.state.filter if sign == FILTER else "")

    def on_key(self, event: events.Key) -> None:
        """What was typed behind the sign before the line below had the keys is in it, too."""
        if not self.prompt.disabled and event.is_printable and event.character:
            self.prompt.insert_text_at_cursor(event.character)
            event.prevent_default()

    def on_input_changed(self, event: Input.Changed) -> None:
        """A filter acts while it is typed."""
        if event.input is self.prompt and event.value.startswith(FILTER):
            self.state.filter = self._search = event.value[1:]
            self.draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        if event.input is not self.prompt:
            return
        self.prompt.end()
        if event.value.startswith(VIEW):
            self._go_to(event.value[1:].strip())

    def _go_to(self, name: str) -> None:
        found = next((view for view in VIEWS if name and view.startswith(name)), "")
        if name in ("q", "quit"):
            self._app.exit()
        elif found:
            self.action_view(found)
        elif name:
            self.say(f"there is no view {name!r}; there are {', '.join(VIEWS)}")

    # --- the mouse ------------------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """A heading sorts, a line is chosen, a second click opens it."""
        if event.widget is not self.painted("table"):
            return
        state, at = self.state, self.state.top + event.y - 1
        if event.y == 0:
            state.order_at(event.x, self.columns)
        elif at == state.at and event.chain > 1:
            self.action_open()
        elif at < len(state.shown):
            state.move(at - state.at)
        self.draw()

    def on_mouse_scroll_down(self) -> None:
        """The wheel."""
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        """The wheel."""
        self.action_move(-1)
