"""The screen: views of one process, or of several in tabs; what changes is asked for every second."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.dashboard.actions import ActorActions, LetterActions, PodActions
from kubeedge_actors.dashboard.alerts import Alerts
from kubeedge_actors.dashboard.background_client import BackgroundClient
from kubeedge_actors.dashboard.keys import BINDINGS, hints_text, views_text
from kubeedge_actors.dashboard.lines import (
    ASCII_LEVELS,
    GAP,
    UNICODE_LEVELS,
    Column,
    StyledLine,
    TableLine,
    speaks_unicode,
)
from kubeedge_actors.dashboard.navigation import Navigation
from kubeedge_actors.dashboard.pages.text import ASCII_CLASS, CSS
from kubeedge_actors.dashboard.pages.trace import TraceScreen
from kubeedge_actors.dashboard.painted import Painted
from kubeedge_actors.dashboard.poll import Poll
from kubeedge_actors.dashboard.prompt import Prompt
from kubeedge_actors.dashboard.table_state import TableState
from kubeedge_actors.dashboard.terminal_watch import TerminalWatch
from kubeedge_actors.dashboard.textual_imports import App, Binding, ComposeResult, Screen
from kubeedge_actors.dashboard.views import actors
from kubeedge_actors.dashboard.views.tables import ACTORS, EVENTS, TABLES
from kubeedge_actors.dashboard.watched import Watched
from kubeedge_actors.osutil.text_width import text_width

PADDING = 1
"""Of the lines above and below the list."""
WIDE, WIDTH_OF_A_STEP = 140, 4
"""From which width on a trend is longer than it has to be, and how many characters of it go to one step."""


class ListScreen(Screen[None], inherit_bindings=False):
    """Where the lists are drawn; the toolkit's own keys, as tab, are left to the dashboard's."""


class Dashboard(Navigation, ActorActions, PodActions, LetterActions, App[None]):
    """Watches control sockets; `interval` in seconds. `trace`: an id to follow from the beginning. `ended()`: whether a signal asks for the end. `names`:
    how the processes are called in their tabs. `view`: the first one. `alerts`: what is done about new trouble.
    """

    TITLE = "kubeedge_actors"
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = ""
    CSS = f"""
    #head {{ height: 3; padding: 0 1; }}
    #table {{ height: 1fr; }}
    #said {{ height: 1; padding: 0 1; }}
    #keys {{ height: 1; padding: 0 1; }}
    #prompt {{ height: 1; border: none; padding: 0 1; display: none; }}
    {CSS}"""
    BINDINGS = [
        *BINDINGS,
        Binding("ctrl+c,ctrl+q", "quit", "quit", priority=True),
        Binding("slash", "type('/')", "filter", priority=True),  # before the keys behind it are given to anybody
        Binding("colon", "type(':')", "view", priority=True),
    ]

    def __init__(
        self,
        clients: Sequence[ControlClient],
        interval: float = 1.0,
        trace: str = "",
        ended: Callable[[], bool] = lambda: False,
        *,
        names: Sequence[str] = (),
        view: str = ACTORS,
        alerts: Alerts | None = None,
    ) -> None:
        super().__init__()
        self._alerts = alerts or Alerts()
        self._polls = [
            Poll(Watched(name), BackgroundClient(self, client), self._alerts, self.draw)
            for client, name in zip(clients, names or [str(client.path) for client in clients], strict=True)
        ]
        self._current = 0
        self._interval, self._trace = interval, trace
        self._view = view
        self._states: dict[tuple[int, str], TableState] = defaultdict(TableState)
        self._sentence = ""
        self._terminal = TerminalWatch(ended, lambda: self.call_later(self.exit))
        for poll in self._polls:
            poll.watched.look.levels = UNICODE_LEVELS if speaks_unicode() else ASCII_LEVELS

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Textual asks whether a key acts: those that begin a line are letters while somebody types one, and over the list there is none."""
        return action != "type" or (len(self.screen_stack) == 1 and self.focused is None)

    def compose(self) -> ComposeResult:
        """Facts above, the list, a line for the chosen one or for what was done, the keys."""
        yield Painted(id="head")
        yield Painted(id="table")
        yield Painted(id="said")
        yield Prompt()
        yield Painted(id="keys")

    def on_mount(self) -> None:
        """Begin to ask."""
        self.set_class(not speaks_unicode(), ASCII_CLASS)
        self.painted("head").styles.height = len(self._polls[1:2]) + 3
        self.look()
        self.set_interval(self._interval, self.look)
        if not self.is_headless:
            self._terminal.start()
        if self._trace:
            self.push_screen(TraceScreen(self.client, message_id=self._trace))

    def on_unmount(self) -> None:
        """Wait for no answer any more."""
        for poll in self._polls:
            poll.client.close()
        self._alerts.close()

    def get_default_screen(self) -> Screen[None]:
        """Textual asks for it."""
        return ListScreen(id="_default")

    # --- what is looked at ----------------------------------------------------------------------------------------

    @property
    def _poll(self) -> Poll:
        return self._polls[self._current]

    @property
    def client(self) -> BackgroundClient:
        """To ask the process that is shown."""
        return self._poll.client

    @property
    def watched(self) -> Watched:
        """The process that is shown."""
        return self._poll.watched

    @property
    def state(self) -> TableState:
        """Of the view that is shown."""
        return self._states[self._current, self._view]

    @property
    def view(self) -> str:
        """The name of the view that is shown."""
        return self._view

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of the view that is shown."""
        return actors.COLUMNS if self._view == ACTORS else TABLES[self._view].columns

    @property
    def prompt(self) -> Prompt:
        """The line in which one types."""
        return self.screen_stack[0].query_one(Prompt)

    def painted(self, name: str) -> Painted:
        """A part of the screen."""
        return self.screen_stack[0].query_one(f"#{name}", Painted)

    def chosen(self) -> TableLine | None:
        """The chosen line, for an action: the cursor stays on it."""
        self.state.hold()
        return self.state.line

    def meant(self) -> list[TableLine]:
        """The lines an action is for."""
        self.state.hold()
        return self.state.meant()

    def look(self) -> None:
        """Ask what is needed, unless the last question is still open; draw what time alone changes."""
        for poll in self._polls:
            poll.look(self._view if poll is self._poll else "")
        self.draw()

    def show_view(self, name: str) -> None:
        """This view from now on."""
        self._view = name
        self.look()

    def action_process(self, by: int) -> None:
        """Another process."""
        self._current = (self._current + by) % len(self._polls)
        self.look()

    def say(self, sentence: str) -> None:
        """Tell below the list what has happened; until the next key."""
        self._sentence = sentence
        self.draw()

    # --- drawing --------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Paint what has changed."""
        if not self.is_running or not self.screen_stack or not self.painted("table").size.width:
            return  # there is no room yet, or none any more
        actor_lines: list[TableLine] = []
        for at, watched in enumerate(poll.watched for poll in self._polls):
            self._prepare(watched.look, self._states[at, ACTORS])
            lines = watched.actor_lines()
            self._alerts.tell(watched.name, watched.newly_troubled(lines), self.bell)
            actor_lines = lines if watched is self.watched else actor_lines
        self.state.take(actors.shown(actor_lines) if self._view == ACTORS else self._table_lines())
        self.painted("head").paint(self._head(actor_lines))
        self.painted("table").paint(self._table())
        self.painted("said").paint([((self._said(), "noted"),)])
        self.painted("keys").paint([((self._keys(), "faint"),)])

    def _prepare(self, look: actors.Look, state: TableState) -> None:
        look.trend = actors.TREND + max(0, (self.painted("table").size.width - WIDE) // WIDTH_OF_A_STEP)
        look.is_sorted, look.is_searched = state.order is not None, bool(state.filter)

    def _table_lines(self) -> list[TableLine]:
        watched = self.watched
        answer = watched.events if self._view == EVENTS else watched.answers.get(self._view)
        return [] if answer is None else TABLES[self._view].lines(answer, time.time())

    def _head(self, actor_lines: list[TableLine]) -> list[StyledLine]:
        width = self.painted("head").size.width - 2 * PADDING
        facts = self.watched.head(actor_lines, width)
        tabs = [_bar(with_the_shown([*self._tabs()], width))] if len(self._polls) > 1 else []
        return [*tabs, *((fact,) for fact in facts), _bar(views_text(self._view))]

    def _tabs(self) -> Iterator[tuple[str, bool]]:
        """The processes, and how many of their actors are in trouble."""
        for at, watched in enumerate(poll.watched for poll in self._polls):
            ill = watched.in_trouble()
            how = " NO ANSWER" if ill < 0 else f" ({ill} in trouble)" if ill else ""
            yield f"{at + 1}/{len(self._polls)} {watched.name}{how} ", at == self._current

    def _table(self) -> list[StyledLine]:
        size, watched, state = self.painted("table").size, self.watched, self.state
        stale = watched.lost_since is not None or self._view in watched.refused
        drawn = state.drawn(self.columns, size.width, size.height, faint=stale)
        return drawn if state.shown else [*drawn, self._nothing()]

    def _nothing(self) -> StyledLine:
        watched, view = self.watched, self._view
        if view in watched.refused:
            return ((f" {watched.refused[view]}", "noted"),)
        if self.state.filter:
            return ((f" nothing matches {self.state.filter!r}; esc shows all", "noted"),)
        waits = view == ACTORS or (view != EVENTS and view not in watched.answers)
        return ((" waiting for an answer ..." if waits else f" {TABLES[view].empty}", "faint"),)

    def _said(self) -> str:
        line = self.state.line
        if self._sentence or line is None:
            return self._sentence
        return f"{line.name}: {line.detail}" if line.detail else ""

    def _keys(self) -> str:
        state, watched = self.state, self.watched
        parts = [f"{state.at + 1 if state.shown else 0}/{len(state.shown)}"]
        parts += [f"/{state.filter}"] if state.filter else []
        parts += [f"{len(state.marked)} marked"] if state.marked else []
        if self._view == ACTORS and (most := watched.history.highest("rate", watched.look.trend, watched.look.back)):
            parts.append(f"trend max {most:.3g}/s")
        where = "  ".join(parts)
        return f"{where}   {hints_text(self._view, self.painted('keys').size.width - text_width(where) - 3)}"

    def on_resize(self) -> None:
        """Other widths."""
        self.call_after_refresh(self.draw)


def with_the_shown(names: list[tuple[str, bool]], width: int) -> list[tuple[str, bool]]:
    """Without the first ones, if the one that is shown were beyond the width with them.

    >>> with_the_shown([("one", False), ("two", False), ("three", True)], 10)
    [('two', False), ('three', True)]
    """
    until = next((at for at, (_, is_shown) in enumerate(names) if is_shown), 0)
    first = 0
    while first < until and sum(len(text) + GAP for text, _ in names[first : until + 1]) - GAP > width:
        first += 1
    return names[first:]


def _bar(names: Iterable[tuple[str, bool]]) -> StyledLine:
    """Names side by side, of which one is shown."""
    return tuple(part for text, is_shown in names for part in ((text, "title" if is_shown else "faint"), (" ", "")))
