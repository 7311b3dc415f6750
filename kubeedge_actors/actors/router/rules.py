"""Rules and RuleEndpoints as they stand in the API, read. Pure.

Source: KubeEdge cloud/pkg/router/provider and rule. Different on purpose: a rule that can not act says so in its status, several nodes may stand
in `node_name`, separated by commas, and only the four directions that work there are taken.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from kubeedge_actors.errors import KubeEdgeActorsError
from kubeedge_actors.mqtt_topics import valid_filter, valid_topic
from kubeedge_actors.wire import constants

MAX_NODES = 100
"""Nodes that one rule may name."""


class EndpointType(enum.Enum):
    """What stands in the `ruleEndpointType` of a RuleEndpoint."""

    REST = "rest"
    EVENTBUS = constants.EVENTBUS
    SERVICEBUS = constants.SERVICEBUS


class InvalidRule(KubeEdgeActorsError):
    """The rule can not act; why, in a sentence."""


class RuleEndpoint(NamedTuple):
    """One end of a rule. `service_port`: where a service of the node listens, 0 for none."""

    type: EndpointType
    service_port: int = 0


class RestSource(NamedTuple):
    """HTTP requests to the cloud, at /NODE/NAMESPACE/`path`; a part of the path such as {id} is any one."""

    path: tuple[str, ...]


class EventBusSource(NamedTuple):
    """What clients publish on a topic of these nodes; `topic` as the nodes know it, with the namespace in front."""

    nodes: tuple[str, ...]
    topic: str


class ServiceBusSource(NamedTuple):
    """What programs of these nodes send to `url` by the ServiceBus."""

    nodes: tuple[str, ...]
    url: str


class RestTarget(NamedTuple):
    """A URL that is called by POST."""

    url: str


class EventBusTarget(NamedTuple):
    """A topic of the node."""

    topic: str


class ServiceBusTarget(NamedTuple):
    """A service of the node, on its loopback."""

    port: int
    path: str


Source = RestSource | EventBusSource | ServiceBusSource
Target = RestTarget | EventBusTarget | ServiceBusTarget


class Rule(NamedTuple):
    """A rule that can act. `key`: NAMESPACE/NAME."""

    key: str
    namespace: str
    source: Source
    target: Target


def key_of(object: Mapping[str, Any]) -> str:
    """NAMESPACE/NAME of an object."""
    return f"{object['metadata'].get('namespace', '')}/{object['metadata']['name']}"


def parse_endpoint(object: Mapping[str, Any]) -> RuleEndpoint:
    """A RuleEndpoint. InvalidRule."""
    spec = object.get("spec") or {}
    try:
        type = EndpointType(spec.get("ruleEndpointType"))
    except ValueError as error:
        raise InvalidRule(f"{spec.get('ruleEndpointType')!r} is no type of a RuleEndpoint") from error
    text = (spec.get("properties") or {}).get("service_port", "")
    if type is not EndpointType.SERVICEBUS or not text:
        return RuleEndpoint(type)
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 65_536):
        raise InvalidRule(f"service_port {text!r} is no port")
    return RuleEndpoint(type, int(text))


def parse_rule(object: Mapping[str, Any], endpoint: Callable[[str], RuleEndpoint | None]) -> Rule:
    """A Rule whose RuleEndpoints `endpoint` finds by NAMESPACE/NAME. InvalidRule says what has to be changed."""
    namespace, spec = object["metadata"].get("namespace", ""), object.get("spec") or {}
    source, target = (_end(namespace, str(spec.get(side, "")), side, endpoint) for side in ("source", "target"))
    if (source.type is EndpointType.REST) is (target.type is EndpointType.REST):
        raise InvalidRule(f"from {source.type.value} to {target.type.value} no rule can lead")
    source_resource, target_resource = spec.get("sourceResource") or {}, spec.get("targetResource") or {}
    return Rule(
        key_of(object),
        namespace,
        _source(namespace, source, source_resource),
        _target(target, target_resource),
    )


def _end(namespace: str, name: str, side: str, endpoint: Callable[[str], RuleEndpoint | None]) -> RuleEndpoint:
    found = endpoint(f"{namespace}/{name}")
    if found is None:
        raise InvalidRule(f"the {side} RuleEndpoint {namespace}/{name} does not exist, or is not a valid one")
    return found


def _source(namespace: str, endpoint: RuleEndpoint, resource: Mapping[str, str]) -> Source:
    if endpoint.type is EndpointType.REST:
        path = path_segments(_needed(resource, "path", "sourceResource"))
        if not path:
            raise InvalidRule("the path in sourceResource is empty")
        return RestSource(path)
    nodes = tuple(filter(None, (part.strip() for part in _needed(resource, "node_name", "sourceResource").split(","))))
    if not 0 < len(nodes) <= MAX_NODES:
        raise InvalidRule(f"node_name in sourceResource names {len(nodes)} nodes, not 1 to {MAX_NODES}")
    if endpoint.type is EndpointType.SERVICEBUS:
        return ServiceBusSource(nodes, _needed(resource, "target_url", "sourceResource"))
    topic = "/".join((namespace, *path_segments(_needed(resource, "topic", "sourceResource"))))
    if not valid_filter(topic):
        raise InvalidRule(f"{topic!r} is no topic that can be subscribed to")
    return EventBusSource(nodes, topic)


def _target(endpoint: RuleEndpoint, resource: Mapping[str, str]) -> Target:
    if endpoint.type is EndpointType.REST:
        return RestTarget(_checked_url(_needed(resource, "resource", "targetResource")))
    if endpoint.type is EndpointType.EVENTBUS:
        topic = _needed(resource, "topic", "targetResource")
        if not valid_topic(topic):
            raise InvalidRule(f"{topic!r} is no topic that can be published on")
        return EventBusTarget(topic)
    path = _needed(resource, "path", "targetResource")
    if not endpoint.service_port:
        raise InvalidRule("the servicebus RuleEndpoint has no service_port in its properties")
    return ServiceBusTarget(endpoint.service_port, path if path.startswith("/") else f"/{path}")


def _needed(resource: Mapping[str, str], name: str, field: str) -> str:
    value = resource.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidRule(f"{name} is missing in {field}")
    return value.strip()


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRule(f"resource {url!r} in targetResource is no URL of http or https")
    return url


def path_segments(path: str) -> tuple[str, ...]:
    """The parts of a path between its slashes, without empty ones.

    >>> path_segments("/a//{id}/")
    ('a', '{id}')
    """
    return tuple(filter(None, path.split("/")))
