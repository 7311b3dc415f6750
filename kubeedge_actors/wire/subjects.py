"""What a message is about, in one word, for whoever counts messages. Pure."""

from __future__ import annotations

from kubeedge_actors.wire import names
from kubeedge_actors.wire.record import Route
from kubeedge_actors.wire.resource import find, find_device


def kind_of(route: Route) -> str:
    """The kind of resource; where the path is free text (topics, addresses), the operation.

    >>> kind_of(Route(operation="update", resource="kube-node-lease/lease/edge-1"))
    'lease'
    """
    if route.group == names.GROUP_USER or route.operation == names.KEEPALIVE:
        return route.operation
    device = find_device(route.resource)
    found = find(route.resource)
    return device.about if device else found.type if found else route.resource or route.operation
