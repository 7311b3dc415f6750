"""The actor DynamicController: calls and watches of the Kubernetes API for programs of nodes. It never waits; workers do.

Source: KubeEdge cloud/pkg/dynamiccontroller. Different on purpose: each call is made with the token of the program that asks, or in the name of its
node, never with the rights of the cloud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from kubeedge_actors.actors.dynamiccontroller.api_requests import refused, status_of
from kubeedge_actors.actors.dynamiccontroller.listeners import Listener, Listeners, push_of
from kubeedge_actors.actors.dynamiccontroller.messages import (
    AnsweredApplication,
    ApplicationCall,
    ApplicationsAnswered,
    ListenerChanged,
)
from kubeedge_actors.actors.dynamiccontroller.node_view import shown
from kubeedge_actors.actors.dynamiccontroller.worker import ApplicationWorker
from kubeedge_actors.controller import worker_for
from kubeedge_actors.drivers.cluster.base import DelegatedApi
from kubeedge_actors.errors import FrameError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.application import APPROVED, Application, from_content, to_content
from kubeedge_actors.wire.messages import (
    ApplicationRequest,
    NodeRemoved,
    ObjectPushed,
    Response,
    SessionClosed,
    SessionOpened,
)

WORKERS = 8
MAX_CALLS = 32
"""Calls of one node that wait or are under way."""
MAILBOX = 20_000
TOO_MANY, FORBIDDEN = 429, 403


class DynamicController(Module):
    """Answers Applications. `listeners` outlive a crash."""

    name = constants.SOURCE_DYNAMICCONTROLLER
    group = constants.GROUP_DYNAMICCONTROLLER
    emits = (Response, ObjectPushed, ApplicationCall, ListenerChanged)

    def __init__(self, api: DelegatedApi, listeners: Listeners, workers: Sequence[str]) -> None:
        self._api, self._listeners, self._workers = api, listeners, workers
        self._calls: Counter[str] = Counter()

    def on_start(self) -> None:
        """Begin anew what was watched before a crash."""
        for listener in self._listeners.all():
            if listener.stop is not None:
                self._begin(listener)

    def on_stop(self) -> None:
        """End the connections; what was watched is known to the next incarnation."""
        for listener in self._listeners.all():
            if listener.stop is not None:
                listener.stop()

    # --- calls --------------------------------------------------------------------------------------------------------

    @on
    def on_application_request(self, message: ApplicationRequest) -> None:
        """Have a call made, or compare the watches that a node has open with those that there are."""
        try:
            if message.resource.endswith(constants.PATH_WATCH_SYNC):
                self._sync(message)
            else:
                self._call(message, (from_content(message.content),))
        except FrameError as error:
            self.log.warning("node %s: %s", message.node, error)

    def _call(self, message: ApplicationRequest, applications: tuple[Application, ...], *, sync: bool = False) -> None:
        node, foreign = (
            message.node,
            next((each for each in applications if each.nodename not in ("", message.node)), None),
        )
        call = ApplicationCall(node, message.msg_id, applications, sync)
        if foreign is not None:
            sentence = f"node {node} may not ask in the name of node {foreign.nodename}"
            self._refuse(call, status_of(FORBIDDEN, "Forbidden", sentence))
        elif self._calls[node] >= MAX_CALLS:
            self._refuse(
                call, status_of(TOO_MANY, "TooManyRequests", f"{MAX_CALLS} calls of node {node} are under way")
            )
        else:
            self._calls[node] += 1
            self.tell(worker_for(node, self._workers), call)

    def _refuse(self, call: ApplicationCall, status: dict[str, object]) -> None:
        self._respond(call, [AnsweredApplication(each, refused(each, status)) for each in call.applications])

    @on
    def on_applications_answered(self, message: ApplicationsAnswered) -> None:
        """Begin the watches that are allowed, and answer the node."""
        call = message.call
        self._calls[call.node] -= 1
        if self._calls[call.node] <= 0:
            del self._calls[call.node]
        self._respond(call, [self._listen(call.node, answer) for answer in message.answers])

    def _listen(self, node: str, answered: AnsweredApplication) -> AnsweredApplication:
        if answered.kind is None:
            return answered
        if not self._listeners.has_room(node) and self._listeners.get(node, answered.asked.id) is None:
            status = status_of(TOO_MANY, "TooManyRequests", f"no more watches of node {node} are taken")
            return AnsweredApplication(answered.asked, refused(answered.asked, status))
        listener = Listener(node, answered.asked, answered.kind)
        self._listeners.put(listener)
        self._begin(listener)
        return answered

    def _begin(self, listener: Listener) -> None:
        wake = partial(self.ref.tell, ListenerChanged(listener.node, listener.application.id))
        listener.begin(self._api, wake)

    def _respond(self, call: ApplicationCall, answers: Iterable[AnsweredApplication]) -> None:
        resource, content = constants.PATH_APPLICATION_ANSWER, {}
        if call.sync:
            failed = [each.answer for each in answers if each.answer.status != APPROVED]
            resource, content = constants.PATH_WATCH_SYNC, {each.id: to_content(each) for each in failed}
        else:
            content = to_content(next(iter(answers)).answer)
        self.publish(
            Response(
                node=call.node,
                parent_msg_id=call.msg_id,
                resource=resource,
                content=content,
                source=constants.SOURCE_DYNAMICCONTROLLER,
                operation=constants.APPLICATION_RESPONSE,
            )
        )

    # --- watches ------------------------------------------------------------------------------------------------------

    def _sync(self, message: ApplicationRequest) -> None:
        node = message.node
        wanted = {id: msgspec.structs.replace(from_content(each), id=id) for id, each in message.content.items()}
        known = self._listeners.of(node)
        for id in known.keys() - wanted.keys():
            self._listeners.remove(node, id)
        new = tuple(application for id, application in wanted.items() if id not in known)
        self._call(message, new, sync=True)

    @on
    def on_listener_changed(self, message: ListenerChanged) -> None:
        """Push what has changed. Told to the hub alone: SyncController keeps no record of what nodes watch."""
        listener = self._listeners.get(message.node, message.id)
        for change in listener.changes.take() if listener is not None else ():
            self.tell(constants.CLOUDHUB, push_of(message.node, change, shown(change.object)))

    @on
    def on_session_closed(self, message: SessionClosed) -> None:
        """The watches of the node rest."""
        for listener in self._listeners.of(message.node).values():
            listener.rest()

    @on
    def on_session_opened(self, message: SessionOpened) -> None:
        """The watches of the node begin anew: it is told of all objects, what it knows already is no news to it."""
        for listener in self._listeners.of(message.node).values():
            self._begin(listener)

    @on
    def on_node_removed(self, message: NodeRemoved) -> None:
        """The node is gone, and so are its watches."""
        for id in self._listeners.of(message.node):
            self._listeners.remove(message.node, id)


def child_specs(api: DelegatedApi) -> list[ChildSpec]:
    """DynamicController and its workers, workers first."""
    names = [f"{ApplicationWorker.name}-{number}" for number in range(1, WORKERS + 1)]
    mailbox, listeners = MailboxSpec(capacity=MAILBOX), Listeners()
    workers = [ApplicationWorker.spec(lambda: ApplicationWorker(api), name=name, mailbox=mailbox) for name in names]
    controller = DynamicController.spec(lambda: DynamicController(api, listeners, names), mailbox=mailbox)
    return [*workers, controller]
