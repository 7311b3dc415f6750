"""Answers the API server in the place of the nodes' kubelets: who asks, which node is meant, whose tunnel leads there.

Source: KubeEdge cloud/pkg/cloudstream/streamserver.go. Different on purpose: who asks has to be allowed to, and another replica is asked
when the tunnel is there.
"""

from __future__ import annotations

import msgspec

from kubeedge_actors.actors.cloudstream.kubelet_authorization import KubeletAuthorizer
from kubeedge_actors.actors.cloudstream.kubelet_paths import (
    VERBS,
    KubeletTarget,
    forwarded_node,
    host_name,
    parse_target,
)
from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.kubelet.base import (
    Answer,
    ClientIdentity,
    ForwardAnswer,
    KubeletRequest,
    Name,
    StreamAnswer,
    TextAnswer,
    UpgradeAnswer,
)
from kubeedge_actors.errors import LinkError, NotFound
from kubeedge_actors.hubs.access_reviews import Denied
from kubeedge_actors.kubernetes.certificates.info import node_of
from kubeedge_actors.kubernetes.kubelet_address import KubeletAddress
from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND
from kubeedge_actors.wire import constants

REPLICA_USER, REPLICA_GROUP = "kubeedge-actors-cloud", "kubeedge-actors:replicas"
"""The name in the certificate with which one replica asks another."""
UPGRADE_HEADERS = ("upgrade", "connection", "sec-websocket-", "x-stream-protocol-version")


def is_replica(client: ClientIdentity | None, ca: Name) -> bool:
    """Whether this is a replica: it is called so in a certificate of `ca`, the CA that all share."""
    names = (REPLICA_USER, (REPLICA_GROUP,))
    return client is not None and client.issuer == ca and (client.common_name, client.organizations) == names


class ReplicaConfig(msgspec.Struct, frozen=True):
    """This replica: HOST:PORT under which others reach it, and the name of the CA that all share."""

    address: str
    ca: Name


class KubeletProxy:
    """The handler of the stream server. `kubelet`: the address that the Nodes have been given, if they were."""

    def __init__(
        self,
        tunnels: TunnelRegistry,
        cluster: Cluster,
        authorizer: KubeletAuthorizer,
        replica: ReplicaConfig,
        kubelet: KubeletAddress | None = None,
    ) -> None:
        self._tunnels, self._cluster, self._authorizer = tunnels, cluster, authorizer
        self._replica, self._kubelet = replica, kubelet

    def answer(self, request: KubeletRequest) -> Answer:
        """Blocks for as long as the cluster's API needs. ClusterError: it does not answer; LinkError: the node has no tunnel."""
        try:
            return self._answer(request)
        except Denied as denied:
            return TextAnswer(denied.status, str(denied))

    def _answer(self, request: KubeletRequest) -> Answer:
        of_us = request.client is not None and request.client.issuer == self._replica.ca
        if is_replica(request.client, self._replica.ca):
            return self._through_tunnel(
                request, _target(request), request.header(constants.HEADER_FORWARDED_NODE.lower())
            )
        if of_us and request.client is not None and node_of(request.client.common_name, request.client.organizations):
            raise Denied(403, "Forbidden: a node has no business here")
        caller = self._authorizer.authenticate(request, request.client)
        target = _target(request)
        node = self._node_of(request, target)
        verb = "create" if target.is_connection else VERBS[request.method]  # a command by GET needs no less
        self._authorizer.authorize(caller, verb, node, target.subresource)
        if self._tunnels.has_tunnel(node):
            return self._through_tunnel(request, target, node)
        return self._through_replica(node)

    def _node_of(self, request: KubeletRequest, target: KubeletTarget) -> str:
        """The node that is meant. Denied 404."""
        if target.pod:
            return self._node_of_pod(target)
        host = host_name(request.header("host"))
        given = self._kubelet.node_of(host) if self._kubelet is not None else ""
        by_name = host if self._tunnels.has_tunnel(host) else ""
        node = forwarded_node(request.header("x-forwarded-uri")) or given or by_name or self._tunnels.node_at(host)
        if not node:
            raise Denied(
                404,
                f"which node is meant can not be told: {host} is not the address of one node, and the request names none",
            )
        return node

    def _node_of_pod(self, target: KubeletTarget) -> str:
        try:
            pod = self._cluster.get(POD_KIND, target.namespace, target.pod)
        except NotFound as error:
            raise Denied(404, f'pod "{target.namespace}/{target.pod}" not found') from error
        return str((pod.get("spec") or {}).get("nodeName") or "")

    def _through_tunnel(self, request: KubeletRequest, target: KubeletTarget, node: str) -> Answer:
        if not target.is_connection:
            stream = self._tunnels.open_stream(node, target.frame, target.path, target.query)
            return StreamAnswer(stream, target.content_type)
        if not request.header("upgrade"):
            raise Denied(400, "Upgrade request required")
        headers = {name.title(): values for name, values in request.headers.items() if name.startswith(UPGRADE_HEADERS)}
        return UpgradeAnswer(
            self._tunnels.open_stream(node, target.frame, target.path, target.query, headers, request.method)
        )

    def _through_replica(self, node: str) -> Answer:
        """The one that has written itself into the Node. LinkError: there is none but us."""
        try:
            metadata = self._cluster.get(NODE_KIND, "", node).get("metadata") or {}
        except NotFound as error:
            raise Denied(404, f'node "{node}" not found') from error
        where = str((metadata.get("annotations") or {}).get(constants.CLOUDSTREAM_ANNOTATION, ""))
        host, _, port = where.rpartition(":")
        if not host or not port.isdigit() or where == self._replica.address:
            raise LinkError(f"node {node} has no stream tunnel with this cloud: it is not connected, or too old")
        return ForwardAnswer(host.strip("[]"), int(port), {constants.HEADER_FORWARDED_NODE: node})


def _target(request: KubeletRequest) -> KubeletTarget:
    if request.method not in VERBS:
        raise Denied(405, "Method Not Allowed")
    try:
        return parse_target(request.target)
    except ValueError as error:
        raise Denied(404, str(error)) from error
