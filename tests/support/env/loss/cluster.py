"""The client of a Kubernetes API, in front of the embedded server, and the fake."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeedge_actors.apiserver import ApiServer
from kubeedge_actors.drivers.cluster import informer
from kubeedge_actors.drivers.cluster.base import AWAY_BACKOFF_MAX, Cluster, EventType
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND
from tests.support.clusters import Listener, config
from tests.support.env.loss.base import LossEnv
from tests.support.fakes.relay import Relay
from tests.support.plugins.ports import free_port

HOUR = 3600.0


class _ClusterEnv(LossEnv):
    driver: Cluster
    server: Cluster
    """Another client of the same API, which nothing keeps from it."""

    def _follow(self) -> None:
        self.listener = Listener()
        self.driver.watch(CONFIGMAP_KIND, self.listener.on_change, self.listener.on_synced, namespace="default")
        self.listener.wait_synced()

    def use(self, text: str) -> None:
        self.driver.create(CONFIGMAP_KIND, "default", config(text))

    def happen(self, text: str) -> None:
        self.server.create(CONFIGMAP_KIND, "default", config(text))

    def arrived(self) -> set[str]:
        return {item["metadata"]["name"] for item in self.server.list(CONFIGMAP_KIND, "default").items}

    def heard(self) -> set[str]:
        """The picture that follows from what the watch has told, which has to be told without repeats and gaps."""
        picture: set[str] = set()
        for change in list(self.listener.changes):
            name = change.object["metadata"]["name"]
            assert (name in picture) == (change.type is not EventType.ADDED), self.listener.told()
            picture = picture - {name} if change.type is EventType.DELETED else picture | {name}
        return picture

    def stop(self) -> None:
        self.driver.close()


class KubernetesEnv(_ClusterEnv):
    """Behind a relay. `patient`: it has an hour for whatever it waits for, which only its end may cut short."""

    longest = AWAY_BACKOFF_MAX
    driver: KubernetesCluster
    away, back = "^watch of .*; retrying$", "answers again after"

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, patient: bool) -> None:
        super().__init__()
        patch.setattr(informer, "SILENCE", HOUR)
        self._patient = patient
        self._servers: list[ApiServer] = []
        self.relay = Relay(free_port(), 0)
        self._begin()
        url = f"http://127.0.0.1:{self.relay.place}"
        self.driver = KubernetesCluster(ClientConfig(url=url), HOUR if patient else 10.0, wait=self.waits)
        self._follow()

    def _begin(self) -> None:
        self._servers.append(ApiServer(database=":memory:", host="127.0.0.1", port=0, tls=None))
        self._servers[-1].start()
        self.server = KubernetesCluster(ClientConfig(url=self._servers[-1].url))
        self.relay.target = int(self._servers[-1].url.rpartition(":")[2])

    def go_away(self, way: str) -> None:
        getattr(self.relay, way)()
        if way == "hang" and not self._patient:
            self.driver._transport._timeout = 0.1
            self.relay.cut()  # the watch would be waited for in silence; its next attempts hang

    def come_back(self) -> None:
        self.driver._transport._timeout = 10.0
        self.relay.start()

    def come_back_empty(self) -> None:
        self.server.close()
        self._begin()
        self.relay.cut()
        self.come_back()

    def close(self) -> None:
        self.stop()
        self.relay.stop()
        self.server.close()
        for server in self._servers:
            server.stop()


class FakeClusterEnv(_ClusterEnv):
    """The fake that is down."""

    ways = ("stop",)

    def __init__(self) -> None:
        super().__init__()
        self.driver = self._fake = FakeCluster()
        self._follow()

    def happen(self, text: str) -> None:
        self._fake._write(lambda: self._fake._state.create(CONFIGMAP_KIND, "default", config(text)))

    def arrived(self) -> set[str]:
        return {item["metadata"]["name"] for item in self._fake.peek_all(CONFIGMAP_KIND)}

    def go_away(self, way: str) -> None:
        self._fake.down = True

    def come_back(self) -> None:
        self._fake.down = False
