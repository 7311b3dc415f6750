"""A cluster for the cloud to serve: an API that allows it what its manifest asks for and no more, and a Service before its replicas."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors import deploy
from kubeedge_actors.apiserver import ApiServer, kubeconfig
from kubeedge_actors.apiserver.auth import resource_forbidden_error
from kubeedge_actors.apiserver.http_messages import Request
from kubeedge_actors.apiserver.registry import discovery
from kubeedge_actors.apiserver.request_info import parse, verb
from tests.support.api_client import ApiClient
from tests.support.rbac import Call, Rules
from tests.support.waiting import PATIENCE

AGENT = "kubeedge-actors"


class GuardedApi:
    """The embedded API in the part of a cluster's: it judges the cloud's requests by `rbac.yaml` and keeps a record of them."""

    def __init__(self, folder: Path) -> None:
        self.server = ApiServer(database=folder / "api.db", host="127.0.0.1", port=0)
        self.rules = Rules(deploy.documents(deploy.RBAC))
        self.calls: set[Call] = set()
        self.refused: set[Call] = set()
        self.kubeconfig = folder / "kubeconfig"

    def start(self) -> None:
        """Serve."""
        self.server.start()
        parts: Any = self.server._parts
        answer = parts.routes.answer

        def guarded(request: Request) -> Any:
            call = _call(request) if request.headers.get("user-agent") == AGENT else None
            if call is not None:
                self.calls.add(call)
                if not self.rules.allow(call):
                    self.refused.add(call)
                    raise resource_forbidden_error(
                        request.user, call.verb, call.group, call.resource, call.name, call.namespace
                    )
            return answer(request)

        parts.routes.answer = guarded
        admin = ApiClient(self.server.url)
        for object in deploy.documents(deploy.NAMESPACE):
            admin.post("/api/v1/namespaces", object)
        admin.close()
        self.kubeconfig.write_text(kubeconfig(self.server.url))


def _call(request: Request) -> Call | None:
    target = parse(request.path)
    if target is None:
        return None
    resource = f"{target.plural}/{target.subresource}" if target.subresource else target.plural
    doing = verb(request.method, bool(target.name), request.flag("watch"))
    return Call(doing, target.group, resource, target.namespace, target.name)


@contextmanager
def guarded_api(folder: Path) -> Iterator[GuardedApi]:
    """Such an API, for as long as the block runs. It does not say that it is ours: a cluster has its own controllers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(discovery.VERSION, "compiler", "gc")
        api = GuardedApi(folder)
        api.start()
        try:
            yield api
        finally:
            api.server.stop()


class Service:
    """A TCP proxy: each connection goes to the next of `ports` that accepts it, as Kubernetes' Service does."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = itertools.cycle(ports)
        self._count = len(ports)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self.carried: list[int] = []
        """The port that each connection went to."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                inside, _ = self._listener.accept()
                self._carry(inside)

    def _carry(self, inside: socket.socket) -> None:
        for _ in range(self._count):
            port = next(self._ports)
            with suppress(OSError):  # this one is down
                outside = socket.create_connection(("127.0.0.1", port), PATIENCE)
                outside.settimeout(None)
                self.carried.append(port)
                self._open += [inside, outside]
                for pair in ((inside, outside), (outside, inside)):
                    threading.Thread(target=_pump, args=pair, daemon=True).start()
                return
        inside.close()

    def close(self) -> None:
        """Cut everything."""
        for connection in (self._listener, *self._open):
            with suppress(OSError):  # closed by its pump
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # one of both is gone: so is the connection
        while data := source.recv(65536):
            target.sendall(data)
    for connection in (source, target):
        with suppress(OSError):  # closed by the other direction
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()
