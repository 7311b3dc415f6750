"""Routing of a request: authorization, resource, verb, handler."""

from __future__ import annotations

import msgspec

from .auth import REVIEWS, is_path_allowed, is_resource_allowed, path_forbidden_error, resource_forbidden_error
from .errors import PlainNotFound, bad_request, method_not_allowed, no_such_resource
from .handlers.access_reviews import AccessReviewHandler
from .handlers.delete import Deleter
from .handlers.exec import ATTACH, EXEC, PORT_FORWARD, ExecSource, Upgrade, exec_response
from .handlers.logs import LogSource, log_response
from .handlers.metrics import MetricsHandler, StatsSource
from .handlers.node_proxy import PROXY, NodeProxySource, node_proxy_response
from .handlers.read import Reader
from .handlers.subresources import Subresources
from .handlers.token_request import TokenRequestHandler
from .handlers.watch import Watcher
from .handlers.write import Writer
from .http_messages import Request, Response, StreamingResponse
from .node_authorizer import NodeAuthorizer, node_of_user
from .registry.builtin import METRICS, METRICS_GROUP, Resource, Subresource
from .registry.discovery import Discovery
from .registry.openapi import OpenApi
from .registry.resource_registry import ResourceRegistry
from .request_info import RequestInfo, parse, verb

Answer = Response | StreamingResponse | Upgrade
# Verbs of one object; the others are of the collection.
OF_NAMED = frozenset({"get", "update", "patch", "delete"})
UPGRADES = frozenset({EXEC, ATTACH, PORT_FORWARD})


class Handlers(msgspec.Struct):
    """The handlers by verb and subresource."""

    discovery: Discovery
    openapi: OpenApi
    reader: Reader
    writer: Writer
    remover: Deleter
    watcher: Watcher
    subresources: Subresources
    reviews: AccessReviewHandler
    tokens: TokenRequestHandler
    nodes: NodeAuthorizer
    metrics: MetricsHandler


class Routes:
    """All paths of the server. The sources may be set at any time."""

    def __init__(self, registry: ResourceRegistry, handlers: Handlers) -> None:
        self._registry, self._to = registry, handlers
        self.log_source: LogSource | None = None
        self.exec_source: ExecSource | None = None
        self._proxy_source: NodeProxySource | None = None

    def set_sources(
        self,
        logs: LogSource | None,
        commands: ExecSource | None,
        stats: StatsSource | None,
        proxy: NodeProxySource | None = None,
    ) -> None:
        """Who answers what only nodes know. Without `stats` there is no metrics.k8s.io."""
        self._registry.serve(METRICS_GROUP, METRICS if stats is not None else ())
        self.log_source, self.exec_source, self._to.metrics.source = logs, commands, stats
        self._proxy_source = proxy

    def answer(self, request: Request) -> Answer:
        """The answer to a request. Raises ApiError and PlainNotFound."""
        try:
            return self._answer(request)
        except RecursionError as error:
            raise bad_request("the object is nested too deeply") from error

    def authorise(self, request: Request) -> None:
        """Refuse what is refused whatever the body says. Raises ApiError."""
        target = parse(request.path)
        if target is None:
            self._authorise_path(request)
        else:
            watching = request.flag("watch") and not target.name
            self._authorise(request, target, verb(request.method, bool(target.name), watching))

    def _answer(self, request: Request) -> Answer:
        target = parse(request.path)
        if target is None:
            return self._other(request)
        resource = self._registry.find(target.group, target.version, target.plural)
        if resource is None:
            return self._unknown(request, target)
        watching = request.flag("watch") and not target.name
        action = verb(request.method, bool(target.name), watching)
        self._authorise(request, target, action)
        if (resource.key, target.subresource) == ("nodes", PROXY):  # the path behind it is the node's
            self._to.reader.entry(target, resource)
            return node_proxy_response(request, target.name, target.rest, self._proxy_source)
        misplaced = bool(target.namespace) != resource.namespaced
        if target.rest or (misplaced and (target.name or target.namespace)):
            raise no_such_resource()
        if target.subresource:
            return self._sub(request, target, resource, action)
        return self._main(request, target, resource, action)

    def _other(self, request: Request) -> Answer:
        self._authorise_path(request)
        answer = self._to.discovery.answer(request) or self._to.openapi.answer(request)
        if answer is None:
            raise PlainNotFound
        if request.method != "GET":
            raise method_not_allowed()
        return answer

    def _authorise_path(self, request: Request) -> None:
        if not is_path_allowed(request.user, request.path):
            raise path_forbidden_error(request.user, request.method.lower(), request.path)

    def _unknown(self, request: Request, target: RequestInfo) -> Answer:
        if not request.user.is_administrator:
            action = verb(request.method, bool(target.name), False)
            raise resource_forbidden_error(
                request.user, action, target.group, target.plural, target.name, target.namespace
            )
        if target.group and (target.group, target.version) not in self._registry.group_versions():
            raise PlainNotFound
        raise no_such_resource()

    def _authorise(self, request: Request, target: RequestInfo, action: str) -> None:
        if is_resource_allowed(request.user, target.plural):
            return
        node, reason = node_of_user(request.user), ""
        if node is not None:
            reason = self._to.nodes.rejection(node, target, action, request)
            if not reason:
                return
        plural = f"{target.plural}/{target.subresource}" if target.subresource else target.plural
        raise resource_forbidden_error(
            request.user, action, target.group, plural, target.name, target.namespace, reason
        )

    def _main(self, request: Request, target: RequestInfo, resource: Resource, action: str) -> Answer:
        if action not in resource.verbs or (action in OF_NAMED) != bool(target.name):
            raise method_not_allowed()
        if resource.group == METRICS_GROUP:
            return self._to.metrics.answer(request, target, resource)
        if resource.plural in REVIEWS:
            return self._to.reviews.create(request, resource)
        if resource.plural == "bindings":
            return self._to.subresources.bind(request, target)
        if action == "watch":
            return self._to.watcher.watch(request, target, resource)
        handlers = {
            "get": self._to.reader.get,
            "list": self._to.reader.list,
            "create": self._to.writer.create,
            "update": self._to.writer.update,
            "patch": self._to.writer.patch,
            "delete": self._to.remover.delete,
            "deletecollection": self._to.remover.delete_collection,
        }
        return handlers[action](request, target, resource)

    def _sub(self, request: Request, target: RequestInfo, resource: Resource, action: str) -> Answer:
        sub = resource.subresource(target.subresource)
        if sub is None:
            if resource.key == "pods" and target.subresource in UPGRADES:
                return self._upgrade(request, target, resource)
            raise no_such_resource()
        if action not in sub.verbs:
            raise method_not_allowed()
        return self._known_sub(request, target, resource, sub)

    def _known_sub(self, request: Request, target: RequestInfo, resource: Resource, sub: Subresource) -> Answer:
        if sub.name in ("status", "ephemeralcontainers"):
            if request.method == "GET":
                return self._to.reader.get(request, target, resource)
            write = self._to.writer.update if request.method == "PUT" else self._to.writer.patch
            return write(request, target, resource)
        if sub.name == "scale":
            return self._to.subresources.scale(request, target, resource)
        if sub.name == "finalize":
            return self._to.subresources.finalize(request, target, resource)
        if sub.name == "token":
            return self._to.tokens.create(request, resource, self._to.reader.entry(target, resource))
        if sub.name == "log":
            return log_response(request, self._to.reader.entry(target, resource).object(), self.log_source)
        return (
            self._to.subresources.bind(request, target)
            if sub.name == "binding"
            else self._to.subresources.evict(request, target)
        )

    def _upgrade(self, request: Request, target: RequestInfo, resource: Resource) -> Answer:
        """Streams into containers and to ports of pods, if there is somebody who carries them."""
        pod = self._to.reader.entry(target, resource).object()
        return exec_response(request, pod, target.subresource, self.exec_source)
