"""What stands between a request and Router: who asks, which rule it is for, whether that one may use it. On the threads of the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import structs

from kubeedge_actors.actors.router.messages import RestCall
from kubeedge_actors.actors.router.request_path import InvalidPath, RequestPath, parse_request_path
from kubeedge_actors.actors.router.rule_table import RuleTable
from kubeedge_actors.actors.router.rules import RestSource, Rule
from kubeedge_actors.drivers.http.base import RestRequest, RestResponse
from kubeedge_actors.errors import ClusterError, KubeEdgeActorsError
from kubeedge_actors.hubs.access_reviews import AccessReviewer, Caller, Denied
from kubeedge_actors.kubernetes.certificates.info import ADMIN_GROUP
from kubeedge_actors.kubernetes.object_types import RULE_KIND

AUTHORIZATION = "Authorization"
VERB = "post"


class RuleAccess(Protocol):
    """Who may use which rule."""

    def caller_of(self, request: RestRequest) -> Caller:
        """Who asks. Denied 401; ClusterError."""

    def is_allowed(self, caller: Caller, namespace: str, name: str) -> bool:
        """Whether the caller may use the rule. ClusterError."""

    def is_replica(self, request: RestRequest) -> bool:
        """Whether another replica of ours passes it on, which has looked who may."""


class ClusterAccess:
    """As a cluster says: by a client certificate or a token, the verb `post` on the Rule. `identity` reads a certificate; `is_replica` knows those
    of other replicas.
    """

    def __init__(
        self,
        reviewer: AccessReviewer,
        identity: Callable[[RestRequest], Caller | None],
        is_replica: Callable[[RestRequest], bool] = lambda _: False,
    ) -> None:
        self._reviewer, self._identity, self._is_replica = reviewer, identity, is_replica

    def caller_of(self, request: RestRequest) -> Caller:
        """See the protocol."""
        return self._identity(request) or self._reviewer.caller_of(request.header(AUTHORIZATION))

    def is_allowed(self, caller: Caller, namespace: str, name: str) -> bool:
        """See the protocol."""
        wanted = {"verb": VERB, "group": RULE_KIND.group, "version": RULE_KIND.version, "resource": RULE_KIND.plural}
        return self._reviewer.is_allowed(caller, wanted | {"namespace": namespace, "name": name})

    def is_replica(self, request: RestRequest) -> bool:
        """See the protocol."""
        return self._is_replica(request)


class EmbeddedAccess:
    """On the embedded API, whose administrators may everything and others nothing."""

    def __init__(self, identity: Callable[[RestRequest], Caller | None]) -> None:
        self._identity = identity

    def caller_of(self, request: RestRequest) -> Caller:
        """See the protocol."""
        caller = self._identity(request)
        if caller is None:
            raise Denied(401, "Unauthorized: a client certificate of the cloud's CA is needed")
        return caller

    def is_allowed(self, caller: Caller, namespace: str, name: str) -> bool:
        """See the protocol."""
        return ADMIN_GROUP in caller.groups

    def is_replica(self, request: RestRequest) -> bool:
        """There is one replica."""
        return False


class RestGate:
    """Answers requests. `access` None: whoever asks may. `table`: the rules as they are now; `ask` brings a call to Router and waits.
    `elsewhere(node, request)`: the answer of another replica, None: no other one has the node.
    """

    def __init__(
        self,
        access: RuleAccess | None,
        table: Callable[[], RuleTable],
        ask: Callable[[RestCall], RestResponse],
        elsewhere: Callable[[str, RestRequest], RestResponse | None] = lambda *_: None,
    ) -> None:
        self._access = access
        self._table, self._ask = table, ask
        self._elsewhere = elsewhere

    def answer(self, request: RestRequest) -> RestResponse:
        """The answer of the node, or why there is none."""
        passed_on = self._access is not None and self._access.is_replica(request)
        try:
            caller = self._access.caller_of(request) if self._access is not None and not passed_on else None
            path = parse_request_path(request.target)
            rule = self._table().for_request(path)
            if rule is None:
                return RestResponse(404, b"Request error: no rule matches")
            if self._access is not None and caller is not None:
                self._check(self._access, caller, rule.key)
        except Denied as denied:
            return RestResponse(denied.status, str(denied).encode())
        except InvalidPath as error:
            return RestResponse(404, str(error).encode())
        except ClusterError as error:
            return RestResponse(503, f"the cluster's API does not answer: {error}".encode())
        if self._access is not None:  # a token of the cluster is the caller's, not the node's
            headers = {name: values for name, values in request.headers.items() if name != AUTHORIZATION}
            request = structs.replace(request, headers=headers)
        elsewhere = None if passed_on else self._elsewhere(path.node, request)
        return elsewhere or self._bring(rule, path, request)

    def _bring(self, rule: Rule, path: RequestPath, request: RestRequest) -> RestResponse:
        assert isinstance(rule.source, RestSource)
        call = RestCall(
            rule=rule.key,
            node=path.node,
            rest=path.parts[len(rule.source.path) :],
            query=path.query,
            method=request.method,
            headers=request.headers,
            body=request.body,
        )
        try:
            return self._ask(call)
        except KubeEdgeActorsError as error:
            return RestResponse(500, str(error).encode())

    @staticmethod
    def _check(access: RuleAccess, caller: Caller, rule: str) -> None:
        namespace, _, name = rule.partition("/")
        if not access.is_allowed(caller, namespace, name):
            what = (
                f"user={caller.user}, verb={VERB}, resource={RULE_KIND.qualified}, namespace={namespace}, name={name}"
            )
            raise Denied(403, f"Forbidden ({what})")
