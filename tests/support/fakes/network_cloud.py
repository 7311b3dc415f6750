"""The cloud's end on a real network: CloudHub on threads, its link server and the certificate bootstrap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubeedge_actors.actors.cloudhub.hub import CloudHub
from kubeedge_actors.actors.cloudhub.messages import ListenConfig
from kubeedge_actors.drivers.bootstrap.handlers import BootstrapHandler
from kubeedge_actors.drivers.bootstrap.server import BootstrapServer
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.pki.worker_protocol import execute
from kubeedge_actors.supervisors import ActorSystem, ChildSpec, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from tests.support.waiting import PATIENCE


class Bell:
    """What was heard, from any thread, and waiting for it."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self._condition = threading.Condition()

    def ring(self, event: tuple[Any, ...]) -> None:
        """Note something."""
        with self._condition:
            self.heard.append(event)
            self._condition.notify_all()

    def until(self, enough: Callable[[list[tuple[Any, ...]]], object]) -> None:
        """Wait until what was heard is enough; AssertionError after half a minute."""
        with self._condition:
            assert self._condition.wait_for(lambda: enough(self.heard), PATIENCE)


class NetworkCloud:
    """Hub and bootstrap share one loop, as in the real cloud; `controller` stands for all controllers."""

    def __init__(self, folder: Path, controller: ChildSpec, bell: Bell) -> None:
        self.bell = bell
        self.authority = FileAuthority(folder, execute)
        tls = self.authority.server_certificate()
        self.loop = LoopThread()
        self.server = WebSocketServer(self.loop)
        self.port = self.server.bind("127.0.0.1", 0)
        self.bootstrap = BootstrapServer(BootstrapHandler(self.authority, lambda node: True), self.loop)
        self.bootstrap_address = f"https://127.0.0.1:{self.bootstrap.start('127.0.0.1', 0, tls)}"
        self.runtime = ActorSystem(ThreadsEngine())
        accepting, listen = self.runtime.registry.subscribers, ListenConfig("127.0.0.1", self.port, tls)
        hub = CloudHub.spec(lambda: CloudHub(self.server, listen, accepting=accepting))
        self.runtime.start(SupervisorSpec("cloud", [controller, hub]))

    def stop(self) -> None:
        """End everything in order."""
        self.runtime.stop()
        self.bootstrap.stop()
        self.server.stop()
        self.loop.stop()
