"""The port of this replica in the status of its nodes, by which rules of iptables lead the API server to it; KubeEdge's record of all.

Source: KubeEdge cloud/cmd/cloudcore/app (negotiateTunnelPort). What stands there is the original's, so that its iptablesmanager reads it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND
from kubeedge_actors.wire import constants

FIRST_PORT = 10351
TRIES = 5


class PortRecord(msgspec.Struct):
    """Addresses of replicas and their ports, and which ports are taken."""

    ipTunnelPort: dict[str, int] = msgspec.field(default_factory=dict)
    port: dict[int, bool] = msgspec.field(default_factory=dict)

    def take(self, address: str) -> int:
        """The port of an address: the one that it has, or the first that is free.

        >>> record = PortRecord({"10.0.0.1": 10351}, {10351: True})
        >>> record.take("10.0.0.1"), record.take("10.0.0.2"), record.port
        (10351, 10352, {10351: True, 10352: True})
        """
        if address not in self.ipTunnelPort:
            taken = set(self.port) | set(self.ipTunnelPort.values())
            free = next(port for port in range(FIRST_PORT, FIRST_PORT + len(taken) + 1) if port not in taken)
            self.ipTunnelPort[address], self.port[free] = free, True
        return self.ipTunnelPort[address]


class TunnelPort:
    """The port of the replica at `address`, taken once; it stays with the address."""

    def __init__(self, cluster: Cluster, address: str) -> None:
        self._cluster, self._address = cluster, address
        self._port = 0

    def __call__(self) -> int:
        """The port. ClusterError: it could not be asked for, or written."""
        for _ in range(TRIES):
            if self._port:
                break
            try:
                self._port = self._take()
            except (Conflict, AlreadyExists):  # another replica was quicker
                continue
        if not self._port:
            raise Conflict({"code": 409, "reason": "Conflict", "message": "other replicas were quicker each time"})
        return self._port

    def _take(self) -> int:
        try:
            config_map = self._cluster.get(CONFIGMAP_KIND, well_known.SYSTEM_NAMESPACE, constants.TUNNEL_PORT_CONFIGMAP)
        except NotFound:
            record = PortRecord()
            port = record.take(self._address)
            self._cluster.create(CONFIGMAP_KIND, well_known.SYSTEM_NAMESPACE, _with_record({}, record))
            return port
        record = read_record(config_map)
        known = dict(record.ipTunnelPort)
        port = record.take(self._address)
        if record.ipTunnelPort != known:
            self._cluster.replace(
                CONFIGMAP_KIND,
                well_known.SYSTEM_NAMESPACE,
                constants.TUNNEL_PORT_CONFIGMAP,
                _with_record(config_map, record),
            )
        return port


def read_record(config_map: dict[str, Any]) -> PortRecord:
    """What a ConfigMap says. ClusterError: it is damaged."""
    text = ((config_map.get("metadata") or {}).get("annotations") or {}).get(constants.TUNNEL_PORT_ANNOTATION, "{}")
    try:
        return msgspec.json.decode(text, type=PortRecord)
    except msgspec.DecodeError as error:
        sentence = f"the annotation {constants.TUNNEL_PORT_ANNOTATION} is damaged: {error}"
        raise ClusterError({"code": 422, "reason": "Invalid", "message": sentence}) from error


def _with_record(config_map: dict[str, Any], record: PortRecord) -> dict[str, Any]:
    metadata = config_map.get("metadata") or {}
    text = msgspec.json.encode(record).decode()
    annotations = {**(metadata.get("annotations") or {}), constants.TUNNEL_PORT_ANNOTATION: text}
    named = {**metadata, "name": constants.TUNNEL_PORT_CONFIGMAP, "namespace": well_known.SYSTEM_NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", **config_map, "metadata": {**named, "annotations": annotations}}
