"""Asking without waiting: the screen never stands still for an answer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.errors import KubeEdgeActorsError

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.textual_imports import App

OnAnswer = Callable[[Any], object]
OnError = Callable[[str], object]


class OpenStream:
    """A stream that is read until it is cancelled."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def cancel(self) -> None:
        """Read no longer."""
        self._over.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants it any more."""
        return self._over.is_set()


class BackgroundClient:
    """Asks in threads that keep no program alive, each question on a connection of its own; answers come back in the app's thread."""

    def __init__(self, app: App[None], client: ControlClient) -> None:
        self._app, self._client = app, client
        self._staying: dict[str, ControlClient] = {}
        self._asking: set[ControlClient] = set()
        """The connections of open questions."""
        self._listening: list[OpenStream] = []
        self._is_closed = False

    @property
    def path(self) -> Path:
        """Of the socket."""
        return self._client.path

    def ask(
        self, command: str, on_answer: OnAnswer, on_error: OnError, *, stays: bool = False, **arguments: object
    ) -> None:
        """Have `on_answer(answer)` called, or `on_error(sentence)`. `stays`: over a connection that stays for the next question of this kind."""
        client = self._staying.setdefault(command, ControlClient(self.path)) if stays else ControlClient(self.path)
        self._asking.add(client)

        def question() -> None:
            try:
                answer = client.ask(command, **arguments)
            except KubeEdgeActorsError as error:
                self._later(on_error, str(error))
            else:
                self._later(on_answer, answer)
            finally:
                self._asking.discard(client)
                if self._is_closed or not stays:
                    client.close()

        _begin(question, f"ask-{command}")

    def stream(
        self, command: str, on_answer: Callable[[Mapping[str, Any]], object], on_error: OnError, **arguments: object
    ) -> OpenStream:
        """Have `on_answer` called with each answer until what is returned is cancelled."""
        listening = OpenStream()
        self._listening = [*(each for each in self._listening if not each.is_cancelled), listening]

        def listen() -> None:
            try:
                with self._client.stream(command, **arguments) as stream:
                    for answer in stream.answers_until(lambda: listening.is_cancelled):
                        self._later(on_answer, answer)
            except KubeEdgeActorsError as error:
                self._later(on_error, str(error))

        _begin(listen, f"stream-{command}")
        return listening

    def close(self) -> None:
        """Let no question wait any longer."""
        self._is_closed = True
        for listening in self._listening:
            listening.cancel()
        open_now = list(self._asking)
        for client in open_now:
            client.cancel()  # whoever waits with it closes it
        for client in self._staying.values():
            if client not in open_now:
                client.close()

    def _later(self, fn: Callable[..., object], *values: object) -> None:
        if self._app.is_running:
            with contextlib.suppress(
                RuntimeError
            ):  # its loop was closed between the two lines: nobody is there to hear it
                self._app.call_later(fn, *values)


def _begin(run: Callable[[], None], name: str) -> None:
    # not Textual's thread workers: the interpreter joins those when it ends, whatever they wait for
    threading.Thread(target=run, name=name, daemon=True).start()
