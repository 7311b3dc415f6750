"""Requests for nodes that are connected to another replica: which one it is stands in the Node, and it is told the same request. On the threads
of the server.
"""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.http.base import ClientRequest, ClientResponse, RestRequest, RestResponse
from kubeedge_actors.errors import ClusterError, HttpError, NotFound
from kubeedge_actors.kubernetes.object_types import NODE_KIND
from kubeedge_actors.wire import constants

UNAVAILABLE = 503


class OtherReplicas:
    """`own`: HOST:PORT that this replica writes into its nodes. `port`: where all replicas take such requests, 0: nowhere. `call` asks one of them."""

    def __init__(
        self, cluster: Cluster, own: str, port: int, call: Callable[[ClientRequest], ClientResponse] | None = None
    ) -> None:
        self._cluster, self._own, self._port, self._call = cluster, own, port, call

    def answer(self, node: str, request: RestRequest) -> RestResponse | None:
        """What the replica that has the node answers, 503 if it can not be asked; None: no other one has it."""
        try:
            where = self._replica_of(node)
        except ClusterError as error:
            return RestResponse(UNAVAILABLE, f"the cluster's API does not answer: {error}".encode())
        host = where.rpartition(":")[0].strip("[]")
        if not host or where == self._own:
            return None
        if not self._port or self._call is None:
            return _unavailable(
                f"node {node} is connected to the replica at {host}: without --router-port it is not asked"
            )
        passed_on = ClientRequest(request.method, self._port, request.target, request.headers, request.body, host)
        try:
            response = self._call(passed_on)
        except HttpError as error:
            return _unavailable(f"node {node} is connected to the replica at {host}, which does not answer: {error}")
        return RestResponse(response.status, response.body, response.headers)

    def _replica_of(self, node: str) -> str:
        try:
            metadata = self._cluster.get(NODE_KIND, "", node).get("metadata") or {}
        except NotFound:
            return ""
        return str((metadata.get("annotations") or {}).get(constants.CLOUDSTREAM_ANNOTATION, ""))


def _unavailable(why: str) -> RestResponse:
    return RestResponse(UNAVAILABLE, why.encode())
