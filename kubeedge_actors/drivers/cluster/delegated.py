"""The API of a cluster in the name of somebody else: of who has shown a token, or of a node. What they may, the API itself decides.

A token is sent over connections that show nothing of the cloud's own identity: a client certificate would win over it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from kubeedge_actors.drivers.cluster.auth_headers import impersonation_headers
from kubeedge_actors.drivers.cluster.base import Delegator, OnChange, Selection
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.drivers.cluster.transport import Transport
from kubeedge_actors.outage_log import OutageLog

NODE_USER, NODE_GROUP = "system:node:", "system:nodes"


class KubernetesDelegatedApi:
    """A DelegatedApi of the API server of `config`. `timeout` in seconds is for each step of a request."""

    def __init__(self, config: ClientConfig, timeout: float = 10.0) -> None:
        self._config, self._timeout = config, timeout
        self._bare, self._outage = _bare(config), OutageLog()
        self._own, self._foreign = Transport(config, timeout), Transport(self._bare, timeout)

    def request(
        self, who: Delegator, method: str, target: str, body: bytes | None = None, content_type: str = ""
    ) -> tuple[int, bytes]:
        """See DelegatedApi."""
        if who.token:
            return self._foreign.request(method, target, body, content_type, {"Authorization": f"Bearer {who.token}"})
        return self._own.request(method, target, body, content_type, impersonation_headers(_node_user(who.node)))

    def watch(self, who: Delegator, what: Selection, on_change: OnChange) -> Callable[[], None]:
        """See DelegatedApi."""
        if who.token:
            config = dataclasses.replace(self._bare, token=who.token)
        else:
            config = dataclasses.replace(self._config, impersonate=_node_user(who.node))
        cluster = KubernetesCluster(config, self._timeout, self._outage)
        kind, namespace, labels, fields = what
        cluster.watch(kind, on_change, namespace=namespace, labels=labels, fields=fields, cache=False)
        return cluster.close

    def close(self) -> None:
        """Close what is idle."""
        self._own.close()
        self._foreign.close()


def _node_user(node: str) -> tuple[str, str]:
    return f"{NODE_USER}{node}", NODE_GROUP


def _bare(config: ClientConfig) -> ClientConfig:
    """The same server, and nobody who asks it."""
    return ClientConfig(config.url, ca=config.ca, verify=config.verify, server_name=config.server_name)
