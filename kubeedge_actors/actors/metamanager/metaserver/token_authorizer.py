"""Who asks MetaServer, by the token of a service account that this node was given for a pod, and what it may read. Works without a cloud. Pure.

A node knows no RBAC: a pod's token is good for what that pod names itself, unless the node names its service account a reader of everything.
"""

from __future__ import annotations

import datetime
import hmac
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import msgspec

from kubeedge_actors.drivers.store.base import MetaStore
from kubeedge_actors.kubernetes.pod_references import account_reference, config_references
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import Json

SECRETS, PODS = "secrets", "pods"
BEARER = "bearer "
API_AUDIENCES = frozenset({"https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local"})
"""Of tokens for a Kubernetes API, the default; what was issued for somebody else is no credential here."""


class Reader(NamedTuple):
    """Who reads. `everything`: but for Secrets unless `secrets`; else `objects` only, each as (plural, namespace, name)."""

    everything: bool = False
    secrets: bool = False
    objects: frozenset[tuple[str, str, str]] = frozenset()

    def may_read(self, plural: str, namespace: str, name: str) -> bool:
        """Whether it may read this object."""
        if self.everything:
            return self.secrets or plural != SECRETS
        return (plural, namespace, name) in self.objects


ANYBODY = Reader(everything=True)
"""Any program on loopback that shows no token."""
EVERYTHING, NOTHING = Reader(everything=True, secrets=True), Reader()


class TokenAuthorizer:
    """`readers`: service accounts, as NAMESPACE/NAME, whose tokens read everything; `anonymous`: what one without a token may, None for nothing;
    `now`: epoch seconds.
    """

    def __init__(
        self, store: MetaStore, readers: Collection[str], anonymous: Reader | None, now: Callable[[], float]
    ) -> None:
        self._store, self._readers, self._anonymous, self._now = store, frozenset(readers), anonymous, now

    def reader(self, authorization: str) -> Reader | None:
        """Who has this `Authorization` header; None for nobody. Errors: StoreError."""
        if not authorization:
            return self._anonymous
        if not authorization.lower().startswith(BEARER):
            return None
        shown = authorization[len(BEARER) :].strip().encode()
        issued = [answer for answer in self._answers() if hmac.compare_digest(_token(answer), shown) and shown]
        return next((reader for answer in issued if (reader := self._of(answer)) is not None), None)

    def _answers(self) -> Iterator[Json]:
        """Each TokenRequest that the cloud has answered."""
        for row in self._store.of_type(constants.SERVICEACCOUNTTOKEN):
            answer = msgspec.json.decode(row.value)
            if isinstance(answer, dict):
                account = row.key.split("/")  # NAMESPACE/serviceaccounttoken/NAME/...
                yield answer | {"account": (account[0], account[2])} if len(account) > 2 else {}

    def _of(self, answer: Json) -> Reader | None:
        spec, status = answer.get("spec") or {}, answer.get("status") or {}
        audiences = spec.get("audiences") or ()
        if (audiences and API_AUDIENCES.isdisjoint(audiences)) or not self._is_alive(
            str(status.get("expirationTimestamp"))
        ):
            return None
        namespace, account = answer["account"]
        pod = self._pod(namespace, spec.get("boundObjectRef") or {})
        if pod is None:
            return None
        if f"{namespace}/{account}" in self._readers:
            return Reader(everything=True, secrets=True)
        return Reader(objects=_objects_of(pod))

    def _is_alive(self, expires: str) -> bool:
        try:
            return self._now() < datetime.datetime.fromisoformat(expires).timestamp()
        except ValueError:
            return False

    def _pod(self, namespace: str, bound: Json) -> Json | None:
        """The pod for which a token was issued, as long as it is there."""
        row = self._store.object(f"/core/v1/{PODS}/{namespace}/{bound.get('name')}")
        pod: Json | None = msgspec.json.decode(row.value) if row is not None else None
        return pod if pod is not None and pod["metadata"].get("uid") == bound.get("uid") else None


def _token(answer: Json) -> bytes:
    return str((answer.get("status") or {}).get("token") or "").encode()


def _objects_of(pod: Json) -> frozenset[tuple[str, str, str]]:
    """The pod, its service account, and what it names."""
    metadata = pod["metadata"]
    own = (PODS, str(metadata.get("namespace", "")), str(metadata["name"]))
    named = {*config_references(pod), account_reference(pod)}
    return frozenset({own, *((f"{each.type}s", each.namespace, each.name) for each in named)})
