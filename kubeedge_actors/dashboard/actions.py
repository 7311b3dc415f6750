"""What a key does to what is chosen: each asks before it changes something, and says what happened."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeedge_actors.dashboard.actor_screen import ActorScreen
from kubeedge_actors.dashboard.lines import TableLine
from kubeedge_actors.dashboard.log_screen import LogScreen
from kubeedge_actors.dashboard.screens import ConfirmScreen, TextScreen, TraceScreen, fields_text
from kubeedge_actors.dashboard.textual_imports import App
from kubeedge_actors.dashboard.views.tables import ACTORS, LETTERS, PODS

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.background_client import BackgroundClient


class Actions:
    """What the actions need of the screen; Dashboard has it."""

    if TYPE_CHECKING:

        @property
        def client(self) -> BackgroundClient: ...
        @property
        def view(self) -> str: ...
        def chosen(self) -> TableLine | None: ...
        def say(self, sentence: str) -> None: ...
        def look(self) -> None: ...
        def meant(self) -> list[TableLine]: ...
        def action_log(self) -> None: ...
        def restart_pod(self) -> None: ...

    @property
    def _app(self) -> App[None]:
        assert isinstance(self, App)
        return self

    def _confirmed(self, question: str, act: Callable[[], None]) -> None:
        """Act when the answer is yes."""
        self._app.push_screen(ConfirmScreen(question), lambda yes: act() if yes else self.say("nothing was done"))

    def _done(self, words: str) -> Callable[[Any], None]:
        def tell(answer: Any) -> None:
            self.say(words.format(answer))
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
            self._app.push_screen(ActorScreen(self.client, line.key))
        elif self.view == PODS:
            self.action_log()
        else:
            self._app.push_screen(TextScreen(line.key, fields_text(line.data)))

    def _actor(self, verb: str) -> str:
        """The name of the chosen actor; empty, and said why, when there is none."""
        line = self.chosen()
        if self.view != ACTORS or line is None:
            self.say(f"{verb}: in :actors only")
        elif "supervisor" in line.data:
            self.say(f"a supervisor is not {verb}: choose one of its actors")
        else:
            return line.key
        return ""

    def action_restart(self) -> None:
        """A new instance of the chosen actor; in :pods the chosen pod's containers anew."""
        if self.view == PODS:
            self.restart_pod()
        elif name := self._actor("restarted"):
            self._confirmed(f"restart {name}?", lambda: self._act("restart", name, f"{name} is restarted"))

    def action_suspend_or_resume(self) -> None:
        """Stop the chosen actor until it is resumed, or resume it."""
        name, line = self._actor("suspended"), self.chosen()
        if not name or line is None:
            return
        if line.data["word"] == "suspended":
            self._act("resume", name, f"{name} is resumed")
        else:
            question = f"suspend {name}? what is sent to it meanwhile is a dead letter"
            self._confirmed(question, lambda: self._act("suspend", name, f"{name} is suspended"))

    def action_crash(self) -> None:
        """Make the chosen actor crash; the process has to be started with --allow-faults."""
        if name := self._actor("crashed"):
            self._confirmed(f"crash {name}?", lambda: self._act("crash", name, f"{name} was crashed"))

    def _act(self, command: str, name: str, words: str) -> None:
        self.client.ask(command, self._done(words), self.say, actor=name)

    def action_errors(self) -> None:
        """The last errors of the chosen actor."""
        if not (name := self._actor("asked for errors")):
            return
        line = self.chosen()
        last = line.detail if line is not None else ""

        def show(errors: list[dict[str, Any]]) -> None:
            texts = [f"{crash['error']}\n\n{crash['traceback']}" for crash in reversed(errors)]
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
        with self._app.suspend():
            print(f"a shell in {line.key}; exit comes back to the dashboard", flush=True)
            status = subprocess.call(command, env=os.environ)
        self.say(f"the shell in {line.key} has ended" + (f" with {status}" if status else ""))

    def restart_pod(self) -> None:
        """Stop the chosen pod's containers and start them anew."""
        if line := self._pod("restart"):
            target = _target(line)
            name = f"{target['namespace']}/{target['pod']}"
            done = self._done(f"{name} is restarted: {{}}")
            space, pod = target["namespace"], target["pod"]
            self._confirmed(
                f"restart {name}?", lambda: self.client.ask("podrestart", done, self.say, namespace=space, pod=pod)
            )


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
