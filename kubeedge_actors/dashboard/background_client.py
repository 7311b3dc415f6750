"""Asking without waiting: the screen never stands still for an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.dashboard.textual_imports import get_current_worker
from kubeedge_actors.errors import KubeEdgeActorsError

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.textual_imports import App

OnAnswer = Callable[[Any], object]
OnError = Callable[[str], object]


class BackgroundClient:
    """Asks in worker threads of the app, each question on a connection of its own; answers come back in the app's thread."""

    def __init__(self, app: App[None], client: ControlClient) -> None:
        self._app = app
        self._client = client
        self._staying: dict[str, ControlClient] = {}
        self._asking: set[ControlClient] = set()
        """The connections of open questions."""

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
                if not stays:
                    self._asking.discard(client)
                    client.close()

        self._app.run_worker(question, thread=True, group="questions", exit_on_error=False)

    def stream(
        self, command: str, on_answer: Callable[[Mapping[str, Any]], object], on_error: OnError, **arguments: object
    ) -> Any:
        """Have `on_answer` called with each answer until the worker that is returned is cancelled."""

        def listen() -> None:
            worker = get_current_worker()
            try:
                with self._client.stream(command, **arguments) as hops:
                    for span in hops.answers_until(lambda: worker.is_cancelled):
                        self._later(on_answer, span)
            except KubeEdgeActorsError as error:
                self._later(on_error, str(error))

        return self._app.run_worker(listen, thread=True, group="streams", exit_on_error=False)

    def close(self) -> None:
        """Let no question keep the program alive."""
        for client in (self._client, *list(self._asking)):
            client.cancel()

    def _later(self, fn: Callable[..., object], *values: object) -> None:
        if self._app.is_running:
            self._app.call_later(fn, *values)
