"""What the cluster tests share:

the drivers under contract, kinds, samples, and a listener that waits instead of sleeping.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kubeedge_actors.drivers.cluster.base import Cluster, WatchEvent
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.kubernetes.object_types import DEVICE_KIND
from tests.support.fakes.flaky_api import flaky_cluster
from tests.support.waiting import PATIENCE

DEVICE = DEVICE_KIND


@contextmanager
def fake_cluster() -> Iterator[Cluster]:
    """The API in memory."""
    cluster = FakeCluster()
    yield cluster
    cluster.close()


@contextmanager
def real_cluster() -> Iterator[Cluster]:
    """The real client on an embedded API server of its own."""
    from kubeedge_actors.apiserver import ApiServer
    from kubeedge_actors.drivers.cluster.client_config import ClientConfig
    from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster

    server = ApiServer(database=":memory:", host="127.0.0.1", port=0, tls=None)
    server.start()
    cluster = KubernetesCluster(ClientConfig(url=server.url))
    try:
        yield cluster
    finally:
        cluster.close()
        server.stop()


DRIVERS = {"fake": fake_cluster, "real": real_cluster, "stormy": flaky_cluster}


class Listener:
    """Collects what a watch tells and waits for it."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.changes: list[WatchEvent] = []
        self.synced_after: int | None = None

    def on_change(self, change: WatchEvent) -> None:
        with self._condition:
            self.changes.append(change)
            self._condition.notify_all()

    def on_synced(self) -> None:
        with self._condition:
            self.synced_after = len(self.changes)
            self._condition.notify_all()

    def told(self) -> list[tuple[str, str]]:
        """Operation and name of each change so far."""
        return [(change.type.value, change.object["metadata"]["name"]) for change in self.changes]

    def wait(self, enough: Callable[[Listener], Any]) -> None:
        """Until `enough` holds, or fail."""
        with self._condition:
            assert self._condition.wait_for(lambda: enough(self), PATIENCE), self.told()

    def wait_synced(self) -> None:
        """Until the first list is complete."""
        self.wait(lambda listener: listener.synced_after is not None)


def config(name: str, **data: str) -> dict[str, Any]:
    """A ConfigMap."""
    return {"metadata": {"name": name}, "data": data}


def pod(name: str, node: str = "", **spec: Any) -> dict[str, Any]:
    """A Pod with one container, bound to `node` if given."""
    pod_spec: dict[str, Any] = {"containers": [{"name": "main", "image": "busybox"}], **spec}
    if node:
        pod_spec["nodeName"] = node
    return {"metadata": {"name": name}, "spec": pod_spec}


def device(name: str, node: str = "edge-1") -> dict[str, Any]:
    """A Device."""
    spec = {"deviceModelRef": {"name": "model"}, "nodeName": node, "properties": [{"name": "power"}]}
    return {"metadata": {"name": name}, "spec": spec}
