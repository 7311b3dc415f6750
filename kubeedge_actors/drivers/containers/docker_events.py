"""The events of a Docker engine, followed by one thread: ends of our containers and sandboxes, and that the engine is lost or back."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from kubeedge_actors.drivers.containers import docker_api as forms
from kubeedge_actors.drivers.containers.base import Container, ContainerEnded, RuntimeLost, RuntimeRecovered, Watcher
from kubeedge_actors.drivers.containers.docker_library import (
    BROKEN,
    check_listening,
    hang_up,
    open_answer,
    requests,
    urllib3,
)
from kubeedge_actors.errors import ContainerError, RuntimeUnavailable

RETRY_SECONDS = (0.5, 1, 2, 5)
QUIET_SECONDS = 8.0
"""After so long without an event the engine is asked for them anew: one that hangs does not answer that either."""


class DockerEvents:
    """Events of the containers and sandboxes of one owner, from the engine at `address`. `look` is called with the id of one that has
    ended, before that is told. An end is told once more when the engine learns of its reason only after it.
    """

    def __init__(self, client: Any, address: str, owner: str, look: Callable[[str], Container]) -> None:
        self._client, self._address, self._owner, self._look = client, address, owner, look
        self._closing = threading.Event()
        self._stream: Any = None
        self._watcher: Watcher = lambda event: None
        self._thread: threading.Thread | None = None

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` from now on. Errors: ContainerError, and those of BROKEN."""
        self._watcher = watcher
        if self._thread is None:
            self._stream = self._events()
            self._thread = threading.Thread(target=self._follow, name="docker-events", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        if self._stream is not None:
            hang_up(self._stream)
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _events(self, since: float = 0.0) -> Any:
        kinds = {"type": ["container"], "event": ["die", "oom"], "label": [f"{forms.OWNER}={self._owner}"]}
        params = {"filters": msgspec.json.encode(kinds).decode()} | ({"since": f"{since:.6f}"} if since else {})
        return open_answer(self._client, "/events", params=params, timeout=QUIET_SECONDS)

    def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except Exception as error:  # noqa: BLE001 - whatever an engine that breaks down says, it is followed again
                if not self._closing.is_set():
                    self._watcher(RuntimeLost(reason=f"the Docker engine does not answer: {forms.root_cause(error)}"))
                    self._reconnect()

    def _listen(self) -> None:
        """Tell ends until the engine is lost, which ends this with an error."""
        while True:
            since = time.time()
            try:
                with self._stream:
                    for line in self._stream.iter_lines():
                        self._on_event(msgspec.json.decode(line))
                raise RuntimeUnavailable("its event stream ended")
            except requests.exceptions.ConnectionError as error:
                if not isinstance(next(iter(error.args), None), urllib3.exceptions.ReadTimeoutError):
                    raise
            self._stream = self._events(since)

    def _on_event(self, event: dict[str, Any]) -> None:
        carried = event.get("Actor", {}).get("Attributes", {})
        if carried.get(forms.KIND) == forms.CONTAINER:
            with suppress(ContainerError, RuntimeUnavailable):  # it is gone, or the engine is: a list will tell
                container = self._look(event["id"])
                if event.get("Action") == "oom" and container.phase != "exited":
                    return  # its end is still to come, or it goes on without the process that was killed
        self._watcher(ContainerEnded(id=event["id"], pod_uid=carried.get(forms.POD_UID, "")))

    def _reconnect(self) -> None:
        for pause_seconds in itertools.chain(RETRY_SECONDS, itertools.repeat(RETRY_SECONDS[-1])):
            if self._closing.wait(pause_seconds):
                return
            with suppress(ContainerError, *BROKEN):  # still away: RuntimeLost has been told
                check_listening(self._address)
                self._client.ping()
                self._stream = self._events()
                self._watcher(RuntimeRecovered())
                return
