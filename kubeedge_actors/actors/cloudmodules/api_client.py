"""The actors ApiClient and ApiWorker: calls of the Kubernetes API for modules of one's own, which never wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from kubeedge_actors.controller import worker_for
from kubeedge_actors.drivers.cluster.base import Cluster, PatchType
from kubeedge_actors.errors import ClusterError
from kubeedge_actors.kubernetes.object_types import kind_named
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec, Overflow, ReplyTo
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import ApiCall

WORKERS = 4
CAPACITY = 1_000
"""Calls that may wait; more of them are refused with MailboxFull."""


@dataclass(frozen=True, slots=True)
class AcceptedCall:
    """A call, and who waits for its answer."""

    call: ApiCall
    reply_to: ReplyTo


class ApiClient(Module):
    """Hands calls to workers; those of one object go to the same one, so that they keep their order."""

    name = constants.APICLIENT
    group = constants.GROUP_HUB
    emits = (AcceptedCall,)

    def __init__(self, workers: Sequence[str]) -> None:
        self._workers = workers

    @on
    def on_api_call(self, message: ApiCall) -> None:
        """Pass it on; the worker answers."""
        about = f"{message.type} {message.namespace} {message.name}"
        self.tell(worker_for(about, self._workers), AcceptedCall(message, self.reply_later()))


class ApiWorker(Module):
    """Makes one call at a time. An answer is an object (a list of them for list), an error that of the API: NotFound, Conflict, Forbidden ..."""

    name = f"{constants.APICLIENT}-worker"
    group = constants.GROUP_HUB

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @on
    def on_accepted_call(self, message: AcceptedCall) -> None:
        """Call the API."""
        try:
            message.reply_to.send(self._result(message.call))
        except ClusterError as error:
            message.reply_to.fail(error)

    def _result(self, call: ApiCall) -> Any:
        kind = kind_named(call.type)
        if call.method == "get":
            return self._cluster.get(kind, call.namespace, call.name)
        if call.method == "list":
            return list(self._cluster.list(kind, call.namespace, labels=call.labels, fields=call.fields).items)
        form = cast("PatchType", "apply" if call.method == "apply" else call.form)
        return self._cluster.patch(kind, call.namespace, call.name, call.body, form=form)


def child_specs(cluster: Cluster) -> list[ChildSpec]:
    """ApiClient and its workers, workers first."""
    names = [f"{ApiWorker.name}-{number}" for number in range(1, WORKERS + 1)]
    mailbox = MailboxSpec(capacity=CAPACITY, overflow=Overflow.REJECT)
    workers = [ApiWorker.spec(lambda: ApiWorker(cluster), name=name, mailbox=mailbox) for name in names]
    return [*workers, ApiClient.spec(lambda: ApiClient(names), mailbox=mailbox)]
