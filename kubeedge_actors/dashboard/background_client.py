"""Asking without waiting: the screen never stands still for an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
        self._asking: set[ControlClient] = set()
        """The connections of open questions."""

    def ask(self, command: str, on_answer: OnAnswer, on_error: OnError, **arguments: object) -> None:
        """Have `on_answer(answer)` called, or `on_error(sentence)`."""
        client = ControlClient(self._client.path)
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
                client.close()

        self._app.run_worker(question, thread=True, group="questions", exit_on_error=False)

    def fetch_tree(self, on_answer: OnAnswer, on_error: OnError) -> None:
        """Ask for the tree, on the connection that stays."""

        def question() -> None:
            try:
                answer = self._client.ask("tree", health=True, patience=0.1)
            except KubeEdgeActorsError as error:
                self._later(on_error, str(error))
            else:
                self._later(on_answer, answer)

        self._app.run_worker(question, thread=True, group="looks", exit_on_error=False)

    def stream(self, on_answer: Callable[[Mapping[str, Any]], object], on_error: OnError, **arguments: object) -> Any:
        """Have `on_answer` called with each hop until the worker that is returned is cancelled."""

        def listen() -> None:
            worker = get_current_worker()
            try:
                with self._client.stream("trace", **arguments) as hops:
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
