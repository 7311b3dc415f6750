"""SelfSubjectAccessReview, SelfSubjectRulesReview, SelfSubjectReview: answered and never stored."""

from __future__ import annotations

import time
from collections.abc import Callable

from kubeedge_actors.kubernetes.time import format_time

from ..auth import KNOWN_PATHS, User
from ..codec.decoder import ObjectDecoder
from ..errors import Json
from ..http_messages import Request, Response, json_response
from ..registry.builtin import Resource

EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
OWN_RULES = [
    {
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    },
    {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
]


class AccessReviewHandler:
    """Answers the creation of reviews."""

    def __init__(self, intake: ObjectDecoder, clock: Callable[[], float] = time.time) -> None:
        self._intake, self._clock = intake, clock

    def create(self, request: Request, resource: Resource) -> Response:
        """POST of a review."""
        body = self._intake.prune(self._intake.decode(request, resource), resource).body
        head: Json = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
        if resource.plural == "selfsubjectreviews":
            head["metadata"] = {"creationTimestamp": format_time(self._clock())}
            return json_response({**head, "status": {"userInfo": request.user.user_info()}}, 201)
        spec = body.get("spec", {})
        if resource.plural == "selfsubjectrulesreviews":
            return json_response({**head, "spec": {}, "status": resource_rules(request.user)}, 201)
        return json_response({**head, "spec": spec, "status": {"allowed": is_allowed(request.user, spec)}}, 201)


def is_allowed(user: User, spec: Json) -> bool:
    """Whether the asked action is allowed."""
    if user.is_administrator:
        return True
    path = spec.get("nonResourceAttributes", {}).get("path", "")
    return any(path == prefix or path.startswith(prefix + "/") for prefix in KNOWN_PATHS)


def resource_rules(user: User) -> Json:
    """All that a user may do."""
    paths = [{"verbs": ["get"], "nonResourceURLs": [part for path in KNOWN_PATHS for part in (path, path + "/*")]}]
    resources = [*OWN_RULES, EVERYTHING] if user.is_administrator else OWN_RULES
    if user.is_administrator:
        paths.insert(0, {"verbs": ["*"], "nonResourceURLs": ["*"]})
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}
