"""What modules of one's own reach beyond their process: the other side of the link, and in the cloud the Kubernetes API. Nothing here waits."""

from __future__ import annotations

from typing import Any, Literal

from kubeedge_actors.errors import RegistrationError, UsageError
from kubeedge_actors.supervisors import Context, Future
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.custom_messages import to_custom
from kubeedge_actors.wire.local_messages import ApiCall

TIMEOUT = 60.0
"""Seconds until the answer of a call counts as lost."""


HUB_TIMEOUT = 30.0
"""Seconds for the hub, or the cloud's outbox, to say that it has a message."""


def send_up(context: Context, message: object) -> Future:
    """Have EdgeHub keep it until the cloud has it. UsageError, one sentence, for a wrong use."""
    custom = to_custom(message)
    if not context.knows(constants.EDGEHUB):
        raise UsageError("up() is for the modules of a node: a module of the cloud says down(node, message)")
    return context.ask(constants.EDGEHUB, custom, HUB_TIMEOUT)


def send_down(context: Context, node: str, message: object, expires: float) -> Future:
    """Have the cloud keep it until the node has it. UsageError, one sentence, for a wrong use."""
    custom = to_custom(message, node, expires)
    if not context.knows(constants.NODEOUTBOX):
        raise UsageError("down() is for the modules of the cloud: a module of a node says up(message)")
    return context.ask(constants.NODEOUTBOX, custom, HUB_TIMEOUT)


class ModuleClient:
    """Calls for a module that has declared these types (`v1/configmaps`), in `watches` or `uses`.

    All methods: UsageError at once for a type that is not declared, or outside the cloud; by the future NotFound, Conflict, Forbidden or another
    ClusterError of the API, AskTimeout, or MailboxFull when too many calls wait.
    """

    def __init__(self, context: Context, declared: tuple[str, ...]) -> None:
        self._context = context
        self._declared = declared

    def get(self, type: str, namespace: str, name: str) -> Future:
        """The object; `namespace` is empty for a type without namespaces."""
        return self._call(ApiCall(method="get", type=type, namespace=namespace, name=name))

    def list(self, type: str, namespace: str = "", *, labels: str = "", fields: str = "") -> Future:
        """A list of the objects in a namespace, or in all of them, that match the selectors."""
        return self._call(ApiCall(method="list", type=type, namespace=namespace, labels=labels, fields=fields))

    def apply(self, type: str, object: dict[str, Any]) -> Future:
        """Make the object so (server-side apply), whether it is there or not; the object as it is then."""
        metadata = object.get("metadata") if isinstance(object, dict) else None
        if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            raise UsageError("apply takes a whole object, with metadata.name")
        namespace, name = str(metadata.get("namespace", "")), metadata["name"]
        return self._call(ApiCall(method="apply", type=type, namespace=namespace, name=name, body=object))

    def patch(
        self, type: str, namespace: str, name: str, patch: Any, *, form: Literal["merge", "strategic", "json"] = "merge"
    ) -> Future:
        """Patch the object; the object as it is then."""
        return self._call(ApiCall(method="patch", type=type, namespace=namespace, name=name, body=patch, form=form))

    def _call(self, call: ApiCall) -> Future:
        if call.type not in self._declared:
            declared = ", ".join(self._declared) or "none"
            raise UsageError(
                f"the type {call.type!r} is not declared in `watches` or `uses` of the module; declared: {declared}"
            )
        if not self._context.knows(constants.APICLIENT):
            raise UsageError("the client is for the modules of the cloud")
        return self._context.ask(constants.APICLIENT, call, TIMEOUT)


def check_types(where: str, types: object) -> None:
    """RegistrationError when a declaration of types is none: a tuple of texts such as `v1/configmaps` or `apps/v1/deployments`."""
    right = isinstance(types, tuple) and all(isinstance(each, str) and each.count("/") in (1, 2) for each in types)
    if not right:
        raise RegistrationError(
            f'{where} has to be a tuple of texts as in ("v1/configmaps", "apps/v1/deployments"), not {types!r}'
        )
