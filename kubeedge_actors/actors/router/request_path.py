"""KubeEdge's grammar of a request to the router: /NODE/NAMESPACE/PATH[?QUERY], and where what follows a rule's path leads. Pure.

Source: KubeEdge cloud/pkg/router/listener/http.go and utils/path.go. Different on purpose: a rule's path matches whole parts from the first on
(there it matches anywhere in the URL), and a part that would climb out of a service's path, or make a wildcard of a topic, is refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kubeedge_actors.actors.router.rules import path_segments
from kubeedge_actors.errors import KubeEdgeActorsError

ANY_PART = re.compile(r"\{[-A-Za-z0-9+&@#%?=~_|!:,.;]+\}")
CLIMBING = frozenset({".", ".."})
DOT = re.compile("%2e", re.IGNORECASE)


class InvalidPath(KubeEdgeActorsError):
    """The request's URL can not be for any rule."""


class RequestPath(NamedTuple):
    """A request's target, split."""

    node: str
    namespace: str
    parts: tuple[str, ...]
    query: str


def parse_request_path(target: str) -> RequestPath:
    """Split the target of a request. InvalidPath.

    >>> parse_request_path("/edge-1/default/a/b?x=1")
    RequestPath(node='edge-1', namespace='default', parts=('a', 'b'), query='x=1')
    """
    path, _, query = target.partition("?")
    parts = path_segments(path)
    if not path.startswith("/") or len(parts) < 3:
        raise InvalidPath(f"url format incorrect: {target[:200]}")
    if any(DOT.sub(".", part) in CLIMBING for part in parts) or "\\" in path:
        raise InvalidPath(f"url format incorrect, it climbs: {target[:200]}")
    return RequestPath(parts[0], parts[1], parts[2:], query)


def is_prefix(rule: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether the path of a rule is that of a request, or leads to it."""
    return len(rule) <= len(parts) and all(
        want == have or ANY_PART.fullmatch(want) is not None for want, have in zip(rule, parts, strict=False)
    )


def specificity(rule: tuple[str, ...]) -> tuple[int, tuple[bool, ...]]:
    """Which of two matching paths wins: the larger. The longer one, or the one that names a part that the other leaves open.

    >>> specificity(("a", "b")) > specificity(("a", "{x}")) > specificity(("a",))
    True
    """
    return len(rule), tuple(ANY_PART.fullmatch(part) is None for part in rule)


def target_topic(topic: str, rest: tuple[str, ...]) -> str:
    """The topic for a request whose path goes on with `rest`. InvalidPath: it is no topic to publish on.

    >>> target_topic("lamp/", ("on",)), target_topic("lamp", ())
    ('lamp/on', 'lamp')
    """
    if any("+" in part or "#" in part or "\0" in part for part in rest):
        raise InvalidPath("a topic to publish on has no wildcards")
    return "/".join((topic.removesuffix("/"), *rest)) if rest else topic


def target_path(path: str, rest: tuple[str, ...], query: str) -> str:
    """The path of the service for a request whose path goes on with `rest`.

    >>> target_path("/local", ("more",), "x=1")
    '/local/more?x=1'
    """
    whole = "/".join((path.removesuffix("/"), *rest)) if rest else path
    return f"{whole}?{query}" if query else whole
