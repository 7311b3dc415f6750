"""Who may ask the kubelets of edge nodes for what: as a kubelet does it (source: Kubernetes pkg/kubelet/server/auth.go)."""

from __future__ import annotations

import time
from collections.abc import Callable

from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.kubelet.base import ClientIdentity, KubeletRequest
from kubeedge_actors.hubs.access_reviews import AccessReviewer, Caller, Denied


class KubeletAuthorizer:
    """Asks `cluster` who a token belongs to and what a user may do. Blocks until the API has answered, unless it is known already."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._reviewer = AccessReviewer(cluster, clock)

    def authenticate(self, request: KubeletRequest, identity: ClientIdentity | None) -> Caller:
        """Whoever has shown a certificate or a token. Denied 401; ClusterError: the API does not answer."""
        if identity is not None:
            return Caller(identity.common_name, identity.organizations)
        return self._reviewer.caller_of(request.header("authorization"))

    def authorize(self, caller: Caller, verb: str, node: str, subresource: str) -> None:
        """Denied 403 unless the cluster says that this user may do so with the Node; ClusterError: it does not answer."""
        wanted = {"verb": verb, "version": "v1", "resource": "nodes", "subresource": subresource, "name": node}
        if not self._reviewer.is_allowed(caller, wanted):
            raise Denied(
                403,
                f"Forbidden (user={caller.user}, verb={verb}, resource=nodes, subresource(s)=[{subresource}], name={node})",
            )
