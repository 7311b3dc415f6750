"""Which address a node tells of itself: one that others can use (kubelet: nodeutil.GetNodeIP, which takes no loopback)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from kubeedge_actors.osutil.sockets import DOCUMENTATION_ADDRESS, is_loopback, route_address

LOOPBACK = "127.0.0.1"
"""Of a machine that has no way out: nobody else can use it, and the controller manager of a cluster refuses all endpoints of a Service with
such a one among them.
"""


def node_address(cloud: str, route: Callable[[str, int], str] = route_address) -> str:
    """This machine's address as the cloud sees it; when that is loopback (the cloud is on this machine, or behind a tunnel of it), the one
    by which it goes out. `route`: the address on the way to a host and port, empty for none.
    """
    url = urlsplit(cloud)
    for host, port in ((url.hostname or DOCUMENTATION_ADDRESS, url.port or 9), (DOCUMENTATION_ADDRESS, 9)):
        address = route(host, port)
        if address and not is_loopback(address):
            return address
    return LOOPBACK
