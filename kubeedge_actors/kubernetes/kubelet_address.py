"""Where a cluster's API server finds the kubelet of an edge node: in the cloud, which has the tunnel to it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

INTERNAL_DNS, HOSTNAME = "InternalDNS", "Hostname"
TYPES = (INTERNAL_DNS, HOSTNAME)
"""Types of addresses that are names. Which of them an API server takes: its --kubelet-preferred-address-types."""
NODE = "{node}"


@dataclass(frozen=True, slots=True)
class KubeletAddress:
    """An address of `type` that stands in the status of edge nodes beside their own. `host` may hold {node}.

    >>> parse("cloud.example.com").host_of("e1"), parse("Hostname={node}.edge.example:10250").host_of("e1")
    ('cloud.example.com', 'e1.edge.example')
    """

    type: str
    host: str
    port: int = 0

    def host_of(self, node: str) -> str:
        """The address for one node."""
        return self.host.replace(NODE, node)

    def node_of(self, host: str) -> str:
        """The node whose address this is; empty when that can not be told.

        >>> parse("{node}.edge.example").node_of("e1.edge.example"), parse("cloud.example").node_of("cloud.example")
        ('e1', '')
        """
        before, found, after = self.host.partition(NODE)
        fits = bool(found) and host.startswith(before) and host.endswith(after)
        return host[len(before) : len(host) - len(after)] if fits else ""

    def entry(self, node: str) -> Json:
        """The entry in the status of a node."""
        return {"type": self.type, "address": self.host_of(node)}


def with_address(addresses: Sequence[Json], node: str, kubelet: KubeletAddress | None) -> list[Json]:
    """A node's addresses with the one that the cloud gives it, and without any that a cloud gave it earlier.

    >>> own = [{"type": "InternalIP", "address": "10.0.0.7"}, {"type": "Hostname", "address": "e1"}]
    >>> given = with_address(own, "e1", parse("cloud.example"))
    >>> [entry["address"] for entry in given], with_address(given, "e1", None) == own
    (['10.0.0.7', 'e1', 'cloud.example'], True)
    >>> [entry["address"] for entry in with_address(given, "e1", parse("Hostname=cloud.example"))]
    ['10.0.0.7', 'cloud.example']
    """
    name = kubelet.host_of(node) if kubelet is not None and kubelet.type == HOSTNAME else node
    kept = [
        {**entry, "address": name} if entry.get("type") == HOSTNAME else entry
        for entry in addresses
        if entry.get("type") != INTERNAL_DNS
    ]
    named = kubelet is None or kubelet.type == HOSTNAME
    return kept if named or kubelet is None else [*kept, kubelet.entry(node)]


def reported_status(status: Json, node: str, kubelet: KubeletAddress | None) -> Json:
    """The status that a node reports, or a patch of it, without the port of its kubelet, which is the cloud's to say, and with the cloud's address."""
    taken = {key: value for key, value in status.items() if key != "daemonEndpoints"}
    addresses = status.get("addresses")
    if isinstance(addresses, list) and all(isinstance(entry, dict) for entry in addresses):
        taken["addresses"] = with_address(addresses, node, kubelet)
    return taken


def parse(text: str) -> KubeletAddress:
    """[TYPE=]HOST[:PORT]. ValueError.

    >>> parse("Hostname=10.0.0.1:443"), parse("[2001:db8::1]")
    (KubeletAddress(type='Hostname', host='10.0.0.1', port=443), KubeletAddress(type='InternalDNS', host='2001:db8::1', port=0))
    """
    type, equals, rest = text.rpartition("=")
    if equals and type not in TYPES:
        raise ValueError(f"there is no type of address {type}, only {' and '.join(TYPES)}")
    host, colon, port = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        host, port = rest, "0"
    if not port.isascii() or not port.isdigit() or int(port) > 65535 or not host.strip("[]"):
        raise ValueError(f"{text} is not [TYPE=]HOST[:PORT]")
    return KubeletAddress(type or INTERNAL_DNS, host.removeprefix("[").removesuffix("]"), int(port))
