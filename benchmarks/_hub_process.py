"""The real CloudHub in a process of its own, for hub.py: told what to do on standard input, answers on standard
output.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from kubeedge_actors.actors.cloudhub.hub import CloudHub
from kubeedge_actors.actors.cloudhub.messages import ListenConfig
from kubeedge_actors.actors.cloudhub.traffic import TrafficCounters
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.hubs.rate_limits import JoinRateLimiter
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.wire.messages import (
    ObjectAcked,
    ObjectPushed,
    QueryLease,
    Response,
    SessionClosed,
    SessionOpened,
)


class Controller(Module):
    """Stands for all controllers: answers leases, counts deliveries and sessions."""

    name = "controller"
    emits = (Response, ObjectPushed)

    def __init__(self) -> None:
        self.delivered = 0
        self.sessions = 0

    @on
    def on_query_lease(self, query: QueryLease) -> None:
        """Answer at once."""
        resource = f"kube-node-lease/lease/{query.name}"
        content = {"Object": {"metadata": {"name": query.name}}, "Err": None}
        self.publish(Response(node=query.node, parent_msg_id=query.msg_id, resource=resource, content=content))

    @on
    def on_object_acked(self, message: ObjectAcked) -> None:
        """One more."""
        self.delivered += 1

    @on
    def on_session_event(self, message: SessionOpened | SessionClosed) -> None:
        """One more or one less."""
        self.sessions += 1 if isinstance(message, SessionOpened) else -1


def memory() -> int:
    """Resident memory of this process, bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


class Process:
    """What hub.py can ask for."""

    def __init__(self, port: int, folder: str, rate: float) -> None:
        tls = TlsPaths(f"{folder}/ca.crt", f"{folder}/server.crt", f"{folder}/server.key")
        self.server = WebSocketServer()
        self.port = self.server.bind("127.0.0.1", port)
        self.controller = Controller()
        door = JoinRateLimiter(rate, int(2 * rate))
        self.traffic = TrafficCounters()
        self.runtime = ActorSystem(ThreadsEngine())
        listen = ListenConfig("127.0.0.1", self.port, tls)
        hub = CloudHub.spec(
            lambda: CloudHub(self.server, listen, join_limiter=door, traffic=self.traffic, node_limit=100_000)
        )
        self.runtime.start(SupervisorSpec("cloud", [Controller.spec(lambda: self.controller), hub]))

    def state(self) -> dict[str, Any]:
        """Memory, CPU seconds so far, sessions, deliveries."""
        cpu = time.process_time()
        return {
            "rss": memory(),
            "cpu": cpu,
            "sessions": self.controller.sessions,
            "delivered": self.controller.delivered,
        }

    def fan_out(self, names: list[str], version: int) -> dict[str, Any]:
        """Push one config map to every node; when the first was said."""
        began = time.time()
        for name in names:
            metadata = {"name": "settings", "namespace": "default", "uid": "0b9b1e4e-7f60-4c53-a7f9-6a3f0a3f6d11"}
            content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"at": time.time()}}
            self.runtime.publish(
                ObjectPushed(
                    node=name,
                    operation="update",
                    type="configmap",
                    namespace="default",
                    name="settings",
                    object=content,
                    resource_version=str(version),
                )
            )
        return {"began": began}

    def stop(self) -> dict[str, Any]:
        """End in order."""
        self.runtime.stop()
        self.server.stop()
        return {}


def main() -> None:
    """Obey orders, one JSON a line, until the input ends."""
    process = Process(**json.loads(sys.stdin.readline()))
    print(json.dumps({"port": process.port}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(getattr(process, order.pop("do"))(**order)), flush=True)


if __name__ == "__main__":
    main()
