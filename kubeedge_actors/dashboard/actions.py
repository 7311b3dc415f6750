"""What a key does to what is chosen: each asks before it changes something, and says what happened."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from kubeedge_actors.dashboard.lines import TableLine
from kubeedge_actors.dashboard.pages.actor import ActorScreen
from kubeedge_actors.dashboard.pages.log import LogScreen
from kubeedge_actors.dashboard.pages.text import ConfirmScreen, TextScreen
from kubeedge_actors.dashboard.pages.trace import TraceScreen
from kubeedge_actors.dashboard.textual_imports import App
from kubeedge_actors.dashboard.views.fields import fields_text, plain_traceback
from kubeedge_actors.dashboard.views.records import pod_events_text
from kubeedge_actors.dashboard.views.tables import ACTORS, DEVICES, LETTERS, NODES, PODS, STORE

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.background_client import BackgroundClient
    from kubeedge_actors.dashboard.table_state import TableState
    from kubeedge_actors.dashboard.watched import Watched

SINGULAR = {
    ACTORS: "supervisor",
    NODES: "node",
    DEVICES: "twin",
    LETTERS: "dead letter",
    STORE: "database",
}
"""What a line is called on its page."""
NOT_FOR_PEOPLE = ("word", "parent", "is_hidden")


class Actions:
    """What the actions need of the screen; Dashboard has it."""

    if TYPE_CHECKING:

        @property
        def client(self) -> BackgroundClient: ...
        @property
        def watched(self) -> Watched: ...
        @property
        def state(self) -> TableState: ...
        @property
        def view(self) -> str: ...
        def chosen(self) -> TableLine | None: ...
        def say(self, sentence: str) -> None: ...
        def look(self) -> None: ...
        def draw(self) -> None: ...
        def meant(self) -> list[TableLine]: ...
        def action_log(self) -> None: ...
        def restart_pod(self) -> None: ...
        def show_pod_events(self) -> None: ...

    @property
    def _app(self) -> App[None]:
        assert isinstance(self, App)
        return self

    def _confirmed(self, question: str, act: Callable[[], None]) -> None:
        """Act when the answer is yes."""
        self._app.push_screen(ConfirmScreen(question), lambda yes: act() if yes else self.say("nothing was done"))

    def _done(self, words: Callable[[Any], str]) -> Callable[[Any], None]:
        def tell(answer: Any) -> None:
            self.say(words(answer))
            self.look()

        return tell


class ActorActions(Actions):
    """On actors; Enter in the other views as well."""

    def action_open(self) -> None:
        """The chosen line up close."""
        line = self.chosen()
        if line is None:
            return
        if self.view == ACTORS and "supervisor" not in line.data:
            self._app.push_screen(ActorScreen(self.client, self.watched, line.key, self._only))
        elif self.view == PODS:
            self.action_log()
        else:
            facts = {name: value for name, value in line.data.items() if name not in NOT_FOR_PEOPLE}
            title = f"{SINGULAR.get(self.view, '')} {line.name}".strip()
            self._app.push_screen(TextScreen(title, fields_text(facts)))

    def _only(self, actor: str) -> None:
        """This actor is the one that is acted on."""
        self.state.marked.clear()
        self.state.choose(actor)
        self.draw()

    def _actors(self, verb: str) -> list[TableLine]:
        """The marked actors, or the chosen one; none, and said why, when there is none."""
        lines = [line for line in self.meant() if "supervisor" not in line.data]
        if self.view != ACTORS:
            self.say(f"{verb}: in :actors only")
            return []
        if not lines:
            self.say(f"a supervisor is not {verb}: choose one of its actors")
        return lines

    def action_restart(self) -> None:
        """A new instance of the chosen actor; in :pods the chosen pod's containers anew."""
        if self.view == PODS:
            self.restart_pod()
        else:
            self._each("restart", "restarted", self._actors("restarted"))

    def action_suspend_or_resume(self) -> None:
        """Stop the chosen actors until they are resumed, or resume those that are."""
        lines = self._actors("suspended")
        suspended = [line for line in lines if line.data["word"] == "suspended"]
        if suspended and len(suspended) == len(lines):
            self._act("resume", "resumed", [line.key for line in lines])
        else:
            still = [line for line in lines if line not in suspended]
            self._each("suspend", "suspended", still, "? what is sent meanwhile is a dead letter")

    def action_crash(self) -> None:
        """Make the chosen actor crash; the process has to be started with --allow-faults."""
        self._each("crash", "crashed", self._actors("crashed"))

    def _each(self, command: str, done: str, lines: list[TableLine], question: str = "?") -> None:
        names = [line.key for line in lines]
        what = names[0] if len(names) == 1 else f"{len(names)} actors ({', '.join(names)})"
        if names:
            self._confirmed(f"{command} {what}{question}", lambda: self._act(command, done, names))

    def _act(self, command: str, done: str, names: list[str]) -> None:
        """What the answers say is told when each has come."""
        told: list[str] = []

        def tell(sentence: str) -> None:
            told.append(sentence)
            self.say("; ".join(told))
            self.look()

        self.say(f"{command} {', '.join(names)} ...")
        for name in names:
            self.client.ask(command, partial(lambda name, _: tell(f"{name} was {done}"), name), tell, actor=name)

    def action_errors(self) -> None:
        """The last errors of the chosen actor; in :pods the events of the pod."""
        if self.view == PODS:
            self.show_pod_events()
            return
        line = self.chosen()
        if self.view != ACTORS or line is None or "supervisor" in line.data:
            self.say("errors: of an actor or a pod")
            return
        name, last = line.key, line.detail

        def show(errors: list[dict[str, Any]]) -> None:
            texts = [f"{crash['error']}\n\n{plain_traceback(crash['traceback'])}\n" for crash in reversed(errors)]
            text = "\n".join(texts) or last or f"{name} has not failed"
            self._app.push_screen(TextScreen(f"last errors of {name}", text))

        self.client.ask("errors", show, self.say, actor=name)

    def action_follow(self) -> None:
        """Follow the messages to the chosen actor; with a supervisor's line: to anybody."""
        line = self.chosen()
        name = line.key if line is not None and self.view == ACTORS and "supervisor" not in line.data else ""
        self._app.push_screen(TraceScreen(self.client, actor=name))


class PodActions(Actions):
    """On pods of an edge."""

    def _pod(self, verb: str) -> TableLine | None:
        line = self.chosen()
        if self.view != PODS or line is None:
            self.say(f"{verb}: in :pods only")
            return None
        return line

    def action_log(self) -> None:
        """The chosen container's log, followed; of a pod's line, its first one's."""
        if line := self._pod("log"):
            self._app.push_screen(LogScreen(self.client, **_target(line)))

    def action_shell(self) -> None:
        """A shell in the chosen container, on this terminal; then back."""
        line = self._pod("shell")
        if line is None:
            return
        target = _target(line)
        where = ["-n", target["namespace"], "-c", target["container"], "--socket", str(self.client.path)]
        command = [sys.executable, "-m", "kubeedge_actors", "exec", "-it", *where, target["pod"], "--", "sh"]
        with tempfile.TemporaryFile() as errors:
            with self._app.suspend():
                print(f"a shell in {line.key}; exit comes back to the dashboard", flush=True)
                status = subprocess.call(command, stderr=errors)
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().split("\n")[-1]
        self.say(f"the shell in {line.key} has ended" + (f" with {status}: {said}" if status else ""))

    def restart_pod(self) -> None:
        """Stop the chosen pod's containers and start them anew."""
        if line := self._pod("restart"):
            space, pod = line.data["namespace"], line.data["pod"]
            name = f"{space}/{pod}"
            done = self._done(lambda ran: f"{name} is restarted: {', '.join(ran)}" if ran else f"of {name} nothing ran")
            self._confirmed(
                f"restart {name}?", lambda: self.client.ask("podrestart", done, self.say, namespace=space, pod=pod)
            )

    def show_pod_events(self) -> None:
        """The events of the chosen pod."""
        if line := self._pod("events"):
            space, pod = line.data["namespace"], line.data["pod"]

            def show(events: list[dict[str, Any]]) -> None:
                self._app.push_screen(TextScreen(f"events of {space}/{pod}", pod_events_text(events, pod)))

            self.client.ask("podevents", show, self.say, namespace=space)


def _target(line: TableLine) -> dict[str, str]:
    first = line.data["object"]["spec"]["containers"][0]["name"]
    return {name: line.data[name] for name in ("namespace", "pod")} | {"container": line.data["container"] or first}


class LetterActions(Actions):
    """On dead letters: the chosen one, or those that are marked."""

    def action_replay(self) -> None:
        """Put them back into the mailboxes they came from."""
        self._letters("replay", "replayed")

    def action_drop(self) -> None:
        """Forget them."""
        self._letters("drop", "dropped")

    def _letters(self, command: str, word: str) -> None:
        if self.view != LETTERS:
            self.say(f"{command}: in :deadletters only")
            return
        ids = [line.data["id"] for line in self.meant() if line.data["id"]]
        if not ids:
            self.say(f"there is nothing to {command}: these letters are not kept")
            return
        what = f"dead letter {ids[0]}" if len(ids) == 1 else f"{len(ids)} dead letters"

        def tell(answer: Any) -> None:
            failed = answer["failed"]
            why = f"; {len(failed)} not: {next(iter(failed.values()))}" if failed else ""
            self.say(f"{len(answer['done'])} {word}{why}")
            self.look()

        self._confirmed(f"{command} {what}?", lambda: self.client.ask(command, tell, self.say, ids=ids))
