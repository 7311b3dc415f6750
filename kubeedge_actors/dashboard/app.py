"""The screen: views of one process, or of several in tabs; what changes is asked for every second."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.dashboard.actions import ActorActions, LetterActions, PodActions
from kubeedge_actors.dashboard.alerts import Alerts
from kubeedge_actors.dashboard.background_client import BackgroundClient
from kubeedge_actors.dashboard.help_text import HELP, KEYS_OF
from kubeedge_actors.dashboard.lines import ASCII_LEVELS, UNICODE_LEVELS, Column, Line, speaks_unicode
from kubeedge_actors.dashboard.painted import Painted, StyledLine
from kubeedge_actors.dashboard.screens import TextScreen, TraceScreen
from kubeedge_actors.dashboard.table_state import TableState
from kubeedge_actors.dashboard.textual_imports import App, ComposeResult, Input, events
from kubeedge_actors.dashboard.views.actors import COLUMNS
from kubeedge_actors.dashboard.views.tables import TABLES
from kubeedge_actors.dashboard.watched import Watched

ACTORS = "actors"
VIEWS = (ACTORS, *TABLES)
TREE_EVERY = 10
"""Looks between two at the whole tree, which costs the process five times as much as one at its figures."""
HISTORY_EVERY = 5.0
ENDINGS = 0.25
"""Seconds between two looks whether a signal asks for the end."""
MINUTE = 12
"""Steps of the history in a minute."""
Json = Mapping[str, Any]


class Dashboard(ActorActions, PodActions, LetterActions, App[None]):
    """Watches control sockets; `interval` in seconds. `trace`: an id to follow from the beginning. `alerts`: what is done about new trouble."""

    TITLE = "kubeedge_actors"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: 3; padding: 0 1; }
    #table { height: 1fr; }
    #said { height: 1; padding: 0 1; }
    #keys { height: 1; padding: 0 1; }
    #prompt { height: 1; border: none; padding: 0 1; display: none; }
    """
    BINDINGS = [
        *((str(number), f"view('{name}')", name) for number, name in enumerate(VIEWS, 1)),
        ("q,ctrl+c,ctrl+q", "quit", "quit"),
        ("question_mark", "help", "help"),
        ("down,j", "move(1)", "down"), ("up,k", "move(-1)", "up"),
        ("pagedown,space_down,ctrl+f", "page(1)", "page down"), ("pageup,ctrl+b", "page(-1)", "page up"),
        ("home,g", "move(-1000000)", "first"), ("end,G", "move(1000000)", "last"),
        ("slash", "ask('/')", "filter"), ("colon", "ask(':')", "view"),
        ("n", "find(1)", "next"), ("N", "find(-1)", "previous"),
        ("less_than_sign", "order(-1)", "order"), ("greater_than_sign", "order(1)", "order"), ("i", "invert", "other way round"),
        ("left,h", "fold(True)", "collapse"), ("right", "fold(False)", "expand"),
        ("left_square_bracket", "go_back(1)", "earlier"), ("right_square_bracket", "go_back(-1)", "later"),
        ("left_curly_bracket", f"go_back({MINUTE})", "a minute earlier"), ("right_curly_bracket", f"go_back(-{MINUTE})", "a minute later"),
        ("space", "mark", "mark"), ("a", "mark_all", "mark all"), ("y", "copy", "copy"), ("escape", "escape", "back"),
        ("tab", "context(1)", "next process"), ("shift+tab", "context(-1)", "process before"),
        ("enter", "open", "open"), ("r", "restart", "restart"), ("u", "suspend_or_resume", "suspend, resume"), ("e", "errors", "errors"),
        ("t", "follow", "follow"), ("K", "crash", "crash"), ("d", "view('deadletters')", "dead letters"), ("b", "view('link')", "bytes"),
        ("l", "log", "log"), ("s", "shell", "shell"), ("p", "replay", "replay"), ("x", "drop", "drop"),
    ]  # fmt: skip

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
        self._ended = ended
        self._clients = [BackgroundClient(self, client) for client in clients]
        self._processes = [Watched(name) for name in names or [str(client.path) for client in clients]]
        self._current = 0
        self._interval, self._trace = interval, trace
        self._alerts = alerts or Alerts()
        self._view = view
        self._states: dict[tuple[int, str], TableState] = defaultdict(TableState)
        self._open_questions: set[tuple[int, str]] = set()
        self._looks = 0
        self._has_figures = True
        self._history_at = 0.0
        self._sentence = ""
        self._search = ""
        levels = UNICODE_LEVELS if speaks_unicode() else ASCII_LEVELS
        for each in self._processes:
            each.look.levels = levels

    def compose(self) -> ComposeResult:
        """Facts above, the list, a line for the chosen one or for what was done, the keys."""
        yield Painted(id="head")
        yield Painted(id="table")
        yield Painted(id="said")
        yield Input(id="prompt", compact=True)
        yield Painted(id="keys")

    def on_mount(self) -> None:
        """Begin to ask."""
        self.look()
        self.set_interval(self._interval, self.look)
        self.set_interval(ENDINGS, self._end_if_asked)
        if self._trace:
            self.push_screen(TraceScreen(self.client, message_id=self._trace))

    def _end_if_asked(self) -> None:
        """By a signal: the terminal is gone, or somebody kills us."""
        if self._ended():
            self.exit()

    def on_unmount(self) -> None:
        """Wait for no answer any more."""
        for client in self._clients:
            client.close()
        self._alerts.close()

    # --- what is looked at ----------------------------------------------------------------------------------------

    @property
    def client(self) -> BackgroundClient:
        """To ask the process that is shown."""
        return self._clients[self._current]

    @property
    def watched(self) -> Watched:
        """The process that is shown."""
        return self._processes[self._current]

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
        return COLUMNS if self._view == ACTORS else TABLES[self._view].columns

    def chosen(self) -> Line | None:
        """The chosen line."""
        return self.state.line

    def meant(self) -> list[Line]:
        """The lines an action is for."""
        return self.state.meant()

    # --- looking --------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Ask what the view needs, unless the last question is still open, and draw what has come so far."""
        whole = not self._has_figures or self._looks % TREE_EVERY == 0 or not self.watched.tree
        self._looks += 1
        if whole:
            self._ask(
                "tree", lambda watched, answer: watched.heard(tree=answer), health=True, patience=0.1, probe=False
            )
        else:
            self._ask("figures", lambda watched, answer: watched.heard(figures=answer))
        if self._view == ACTORS and time.monotonic() - self._history_at >= HISTORY_EVERY:
            self._history_at = time.monotonic()
            self._ask("history", lambda watched, answer: watched.history.add(answer), since=self.watched.history.end)
        table = TABLES.get(self._view)
        if table is not None and table.command:
            self._ask(
                table.command,
                lambda watched, answer: watched.answers.update({table.name: answer}),
                **dict(table.arguments),
            )
        self.draw()

    def _ask(self, command: str, take: Callable[[Watched, Any], None], **arguments: object) -> None:
        key = (self._current, command)
        if key in self._open_questions:
            return
        self._open_questions.add(key)
        watched = self.watched

        def heard(answer: Any) -> None:
            self._open_questions.discard(key)
            take(watched, answer)
            self.draw()

        def missed(sentence: str) -> None:
            self._open_questions.discard(key)
            self._missed(watched, command, sentence)

        self.client.ask(command, heard, missed, stays=True, **arguments)

    def _missed(self, watched: Watched, command: str, sentence: str) -> None:
        if command == "figures" and "there is no command" in sentence:
            self._has_figures = False
        elif command in ("tree", "figures"):
            watched.missed(sentence)
            self._alerts.lost(watched.name, sentence)
        elif command != "history":
            watched.answers[self._view] = sentence
        self.draw()

    def lines(self) -> list[Line]:
        """All lines of the view; what can not be had is said below."""
        if self._view == ACTORS:
            return self.watched.actor_lines()
        table = TABLES[self._view]
        answer = self.watched.events if self._view == "events" else self.watched.answers.get(self._view)
        return [] if answer is None or isinstance(answer, str) else table.lines(answer, time.time())

    # --- drawing --------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Paint what has changed."""
        if not self.screen_stack or not self.is_running:
            return
        actor_lines = self.watched.actor_lines()
        self._alerts.tell(self.watched.name, self.watched.newly_troubled(actor_lines), self.bell)
        self.state.take(actor_lines if self._view == ACTORS else self.lines())
        head, table = self._painted("head"), self._painted("table")
        head.paint([((text, style),) for text, style in self.watched.head(actor_lines)])
        lost = self.watched.lost_since is not None
        drawn = self.state.drawn(self.columns, table.size.width, table.size.height, faint=lost)
        table.paint(drawn if self.state.shown else [*drawn, self._nothing()])
        self._painted("said").paint([((self._said(), "noted"),)])
        self._painted("keys").paint([((self._keys(), "faint"),)])

    def _nothing(self) -> StyledLine:
        answer = self.watched.answers.get(self._view)
        if isinstance(answer, str):
            return ((f" {answer}", "noted"),)
        if self.state.filter:
            return ((f" nothing matches {self.state.filter!r}; esc shows all", "noted"),)
        waits = self._view != "events" and (answer is None or self._view == ACTORS)
        return ((" waiting for an answer ..." if waits else f" {TABLES[self._view].empty}", "faint"),)

    def _said(self) -> str:
        line = self.chosen()
        if self._sentence or line is None:
            return self._sentence
        return f"{line.key}: {line.detail}" if line.detail else ""

    def _keys(self) -> str:
        state = self.state
        where = f":{self._view} {state.at + 1 if state.shown else 0}/{len(state.shown)}"
        parts = [
            where,
            f"/{state.filter}" if state.filter else "",
            f"{len(state.marked)} marked" if state.marked else "",
        ]
        if len(self._processes) > 1:
            parts.insert(0, f"[{self._current + 1}/{len(self._processes)} {self.watched.name}] tab")
        if self._view == ACTORS and (most := self.watched.history.highest("rate", 8, self.watched.look.back)):
            parts.append(f"trend: full is {most:.3g}/s")
        return "   ".join(filter(None, [*parts, KEYS_OF[self._view]]))

    def say(self, sentence: str) -> None:
        """Tell below the list what has happened; until the next key."""
        self._sentence = sentence
        self.draw()

    def _painted(self, name: str) -> Painted:
        return self.screen_stack[0].query_one(f"#{name}", Painted)

    # --- keys that every view has ---------------------------------------------------------------------------------

    def action_view(self, name: str) -> None:
        """Another view."""
        self._view, self._sentence = name, ""
        if name == "events":
            self._listen()
        self.look()

    def _listen(self) -> None:
        """Hear of events from the first time on that somebody looks."""
        watched = self.watched
        if "events" not in watched.answers:
            watched.answers["events"] = "listening"
            self.client.stream("events", watched.add_event, lambda _: watched.answers.pop("events", None))

    def action_move(self, by: int) -> None:
        """Up or down."""
        self._sentence = ""
        self.state.move(by)
        self.draw()

    def action_page(self, by: int) -> None:
        """A screen up or down."""
        self.action_move(by * max(1, self._painted("table").size.height - 2))

    def action_order(self, by: int) -> None:
        """Sort by the next column."""
        self.state.order_next(self.columns, by)
        self.draw()

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
        self.state.find(self._search, by)
        self.draw()

    def action_copy(self) -> None:
        """The chosen line's name to the clipboard of the terminal (OSC 52)."""
        line = self.chosen()
        if line is not None:
            self.copy_to_clipboard(line.key)
            self.say(f"copied: {line.key}")

    def action_fold(self, closed: bool) -> None:
        """Collapse or expand a supervisor; of an actor, collapse the one it belongs to."""
        line = self.chosen()
        if self._view != ACTORS or line is None:
            return
        collapsed, own = self.watched.look.collapsed, line.data.get("supervisor", "")
        if not closed:
            collapsed.discard(own)
        elif name := own if own and own not in collapsed else line.data.get("parent", ""):
            collapsed.add(name)
            self.state.chosen = f"/{name}"
        self.draw()

    def action_go_back(self, steps: int) -> None:
        """Look at an earlier moment, or a later one."""
        most = len(self.watched.history.series("", "rss")) - 1
        self.watched.look.back = max(0, min(self.watched.look.back + steps, most))
        self.draw()

    def action_escape(self) -> None:
        """Back: to now, to all lines, to the order of the answer, to the actors."""
        state, look = self.state, self.watched.look
        if look.back:
            look.back = 0
        elif state.filter or state.marked:
            state.filter, state.marked = "", set()
        elif state.order is not None:
            state.order = None
        elif self._view != ACTORS:
            self._view = ACTORS
        self._sentence = ""
        self.look()

    def action_context(self, by: int) -> None:
        """Another process."""
        self._current = (self._current + by) % len(self._processes)
        self._history_at, self._has_figures = 0.0, True
        if self._view == "events":
            self._listen()
        self.look()

    def action_help(self) -> None:
        """What the keys and columns mean."""
        self.push_screen(TextScreen("help", HELP))

    # --- the line below -------------------------------------------------------------------------------------------

    def action_ask(self, sign: str) -> None:
        """Take a filter, or the name of a view."""
        prompt = self.screen_stack[0].query_one("#prompt", Input)
        prompt.value = sign + (self.state.filter if sign == "/" else "")
        prompt.display = True
        prompt.focus()
        prompt.cursor_position = len(prompt.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """A filter acts while it is typed."""
        if event.value.startswith("/") and event.input.display:
            self.state.filter = self._search = event.value[1:]
            self.draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.input.display = False
        self.set_focus(None)
        name = event.value[1:].strip()
        if event.value.startswith(":"):
            found = [view for view in VIEWS if view.startswith(name)] if name else []
            if name in ("q", "quit"):
                self.exit()
            elif found:
                self.action_view(found[0])
            else:
                self.say(f"there is no view {name!r}; there are {', '.join(VIEWS)}")

    def on_key(self, event: events.Key) -> None:
        """Escape leaves the line below as it was."""
        prompt = self.screen_stack[0].query_one("#prompt", Input)
        if event.key == "escape" and prompt.display:
            prompt.display = False
            self.set_focus(None)
            self.state.filter = ""
            event.stop()
            event.prevent_default()
            self.draw()

    def on_click(self, event: events.Click) -> None:
        """A heading sorts, a line is chosen, a second click opens it."""
        table = self._painted("table")
        if event.widget is not table:
            return
        if event.y == 0:
            self.state.order_at(event.x, self.columns)
        elif (at := self.state.top + event.y - 1) < len(self.state.shown):
            again = at == self.state.at
            self.state.move(at - self.state.at)
            if again:
                self.action_open()
        self.draw()

    def on_mouse_scroll_down(self) -> None:
        """The wheel."""
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        """The wheel."""
        self.action_move(-1)

    def on_resize(self) -> None:
        """Other widths."""
        self.call_after_refresh(self.draw)
