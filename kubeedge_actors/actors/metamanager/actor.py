"""MetaManager, the shell: stores, then tells, then acknowledges; asks the cloud, or the store when the cloud is away."""

from __future__ import annotations

import msgspec

from kubeedge_actors.actors.metamanager.answers import (
    CACHED,
    REMOTE,
    is_fresh,
    local_answer,
    token_key,
    wants_ack,
    worth_storing,
)
from kubeedge_actors.actors.metamanager.calls import Call, Calls
from kubeedge_actors.actors.metamanager.objects import object_row, objects_of, text_of, uid_of
from kubeedge_actors.actors.metamanager.pushes import Outcome, Pushes
from kubeedge_actors.drivers.store.base import MetaChanges, MetaRow, MetaStore
from kubeedge_actors.errors import StoreError
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import mapping, names
from kubeedge_actors.wire.messages import (
    Answered,
    DeletePod,
    DeviceChanged,
    InsertPod,
    Json,
    LinkDown,
    ListPods,
    Message,
    ObjectPushed,
    PatchNode,
    PatchPod,
    PodChanged,
    QueryLease,
    QueryObject,
    ReferenceChanged,
    Refused,
    RegisterNode,
    ReportEvent,
    RequestCertificate,
    RequestToken,
    Said,
    UpdateNode,
    WriteLease,
    new_id,
)
from kubeedge_actors.wire.resource import Resource, parse

BATCH = 256
REMOTE_SECONDS = 60.0
NOT_CONNECTED = "failed to process remote: not connected"
LOST = "connection lost between EdgeCore and CloudCore"
TOO_LATE = "the cloud did not answer in time"
POD_KIND, NODE_KIND = "Pod", "Node"
CRASHED = "the question was lost in a restart"

Calling = RegisterNode | InsertPod | QueryLease | WriteLease | RequestCertificate


class Overdue(Message, frozen=True, kw_only=True):
    """Time to look which questions the cloud has not answered."""


class MetaManager(Module):
    """The memory of what the cloud said.

    `remote_seconds`: how long the cloud may take to answer. `cloud` False: the node works alone, the store answers or nobody does.
    """

    name = names.METAMANAGER
    group = names.GROUP_META
    emits = (
        *(PodChanged, ReferenceChanged, DeviceChanged, Answered, Refused, Overdue),
        *(RegisterNode, UpdateNode, PatchNode, QueryLease, WriteLease, InsertPod, PatchPod, DeletePod, QueryObject),
        *(RequestToken, RequestCertificate, ReportEvent),
    )

    def __init__(self, store: MetaStore, *, cloud: bool = True, remote_seconds: float = REMOTE_SECONDS) -> None:
        self._store = store
        self._cloud = cloud
        self._remote_seconds = remote_seconds
        self._pushes = Pushes(store.get)
        self._calls = Calls()
        self._watching = self._refusing = False

    def on_stop(self) -> None:
        """Whoever waits for an answer learns that it will not come."""
        for call in self._calls.all():
            self._refuse(call.asked, CRASHED)

    # --- what the cloud pushes ------------------------------------------------------------------------------------

    @on(batch=BATCH)
    def pushed(self, pushes: list[ObjectPushed]) -> None:
        """Store, tell, acknowledge, in this order, many at a time."""
        outcome = self._pushes.plan(pushes)
        try:
            self._store.apply(outcome.changes)
        except StoreError as error:
            self._not_stored(pushes, error)
        else:
            self._stored(outcome)

    def _stored(self, outcome: Outcome) -> None:
        self._works()
        self._pushes.done(outcome)
        for message in outcome.told:
            self.publish(message)
        for ack in outcome.acks:
            self.tell(names.EDGEHUB, ack)

    def _not_stored(self, pushes: list[ObjectPushed], error: StoreError) -> None:
        self._fails(error)
        for push in pushes:
            resource = mapping.route_of(push).resource
            self.tell(names.EDGEHUB, Refused(parent_msg_id=push.msg_id, resource=resource, reason=str(error)))

    def _fails(self, error: StoreError) -> None:
        """The store refuses: said once, until it works again."""
        if not self._refusing:
            self.log.warning("what the cloud and this node say can not be stored, and comes again: %s", error)
        self._refusing = True

    def _works(self) -> None:
        if self._refusing:
            self.log.warning("the database takes what is said again")
        self._refusing = False

    # --- what edged asks the cloud --------------------------------------------------------------------------------

    @on
    def call(self, message: Calling) -> None:
        """Ask the cloud; its answer is stored and passed on."""
        self._call(message, mapping.route_of(message).resource)

    @on
    def query(self, message: QueryObject) -> None:
        """An object: from the store if the cloud pushes it, else from the cloud, else from the store."""
        key = Resource(message.namespace, message.type, message.name).path
        if message.type not in REMOTE or (message.type in CACHED and message.name):
            answer = local_answer(message, key, self._rows(message, key))
            if answer is not None:
                self.tell(names.EDGED, answer)
                return
        self._call(message, key)

    @on
    def request_token(self, message: RequestToken) -> None:
        """A token: the stored one while it is fresh."""
        key = token_key(message)
        row = self._store.get(key)
        answer = local_answer(message, key, [row]) if row and is_fresh(row, self.clock.now()) else None
        if answer is not None:
            self.tell(names.EDGED, answer)
        else:
            self._call(message, key)

    @on
    def patch(self, message: PatchNode | PatchPod) -> None:
        """Store the patch and pass it through; so is the answer. A full disk must not keep the cloud from hearing of it."""
        key = mapping.route_of(message).resource
        try:
            self._store.put([MetaRow(key, parse(key).type, message.patch)])
            self._works()
        except StoreError as error:
            self._fails(error)
        kind = POD_KIND if isinstance(message, PatchPod) else NODE_KIND
        self._send(message, Call(message, "", self._deadline(), kind), LOST)

    @on
    def update_node(self, message: UpdateNode) -> None:
        """Store it and pass it on; the answer does not wait for the cloud."""
        key = mapping.route_of(message).resource
        try:
            self._store.apply(_row_changes(key, message.object))
        except StoreError as error:
            self._refuse(message, str(error))
            return
        self._pass_on(message)
        self.tell(names.EDGED, Answered(parent_msg_id=message.msg_id, resource=key, source=names.METAMANAGER))

    @on
    def delete_pod(self, message: DeletePod) -> None:
        """Pass it on; the row goes when the cloud says that the pod is gone."""
        self._send(message, Call(message, "", self._deadline()), LOST)

    @on
    def report_event(self, message: ReportEvent) -> None:
        """Pass it on; nobody answers."""
        self._pass_on(message)

    @on
    def list_pods(self, message: ListPods) -> list[Json]:
        """All pods of this node."""
        return list(objects_of(self._store.of_type(names.POD)))

    def _call(self, message: Said, key: str) -> None:
        sent = msgspec.structs.replace(message, msg_id=new_id())
        self._send(sent, Call(message, key, self._deadline()), NOT_CONNECTED)

    def _send(self, message: Said, call: Call, alone: str) -> None:
        """Say it to the cloud and wait for the answer; without a cloud there is none, for the reason `alone`."""
        if not self._cloud:
            self._fall_back(call, alone)
            return
        self._calls.add(message.msg_id, call)
        self._watch()
        self._pass_on(message)

    def _pass_on(self, message: Said) -> None:
        if self._cloud:
            self.tell(names.EDGEHUB, message)

    def _deadline(self) -> float:
        return self.clock.monotonic() + self._remote_seconds

    # --- what comes back ------------------------------------------------------------------------------------------

    @on
    def answered(self, answer: Answered) -> None:
        """Store what is worth it, pass the answer on, acknowledge."""
        call = self._calls.take(answer.parent_msg_id)
        if call is None:
            self.log.debug("nobody waits for the answer to %s about %s", answer.parent_msg_id, answer.resource)
            if wants_ack(answer):
                self._acknowledge(answer)
            return
        if call.key or call.kind:
            found = worth_storing(answer.content)
            try:
                self._store.apply(_row_changes(call.key, found) if call.key else self._patched(call.kind, found))
            except StoreError as error:
                if call.key:
                    self._refuse(call.asked, str(error))
                    return  # not acknowledged: the cloud says it again
                self._fails(error)
        self.tell(names.EDGED, msgspec.structs.replace(answer, parent_msg_id=call.asked.msg_id))
        if call.key:
            self._acknowledge(answer)

    def _patched(self, kind: str, found: object) -> MetaChanges:
        """The object as a patch has made it, for the read API: the cloud does not push what the node itself has said."""
        if not isinstance(found, dict):
            return MetaChanges()
        content = {"kind": kind, "apiVersion": "v1", **found}
        row = object_row(content, text_of(content))
        known = self._store.object(row.key) if row else None
        same = known is not None and uid_of(found) in known.value
        return MetaChanges(objects=[row] if row and same and uid_of(found) else [])

    @on
    def refused(self, refusal: Refused) -> None:
        """EdgeHub could not say it."""
        call = self._calls.take(refusal.parent_msg_id)
        if call is not None:
            self._fall_back(call, LOST if isinstance(call.asked, PatchNode | PatchPod) else NOT_CONNECTED)

    @on
    def link_down(self, message: LinkDown) -> None:
        """Answers to what was said on this link will not come."""
        for call in self._calls.all():
            if not isinstance(call.asked, DeletePod):  # that one is kept until the cloud has it
                self._fall_back(call, LOST)

    @on
    def overdue(self, message: Overdue) -> None:
        """The cloud did not answer in time."""
        self._watching = False
        for call in self._calls.overdue(self.clock.monotonic()):
            if not isinstance(call.asked, DeletePod):
                self._refuse(call.asked, TOO_LATE)
        self._watch()

    def _fall_back(self, call: Call, reason: str) -> None:
        """Answer from the store in the cloud's place, or refuse."""
        answer = None
        if isinstance(call.asked, QueryObject | QueryLease | RequestToken):
            answer = local_answer(call.asked, call.key, self._rows(call.asked, call.key))
        if answer is not None:
            self.tell(names.EDGED, answer)
        else:
            self._refuse(call.asked, reason)

    def _rows(self, asked: Said, key: str) -> list[MetaRow]:
        if isinstance(asked, QueryObject) and not asked.name:
            return self._store.of_type(asked.type)
        row = self._store.get(key)
        return [row] if row else []

    def _acknowledge(self, answer: Answered) -> None:
        ack = Answered(parent_msg_id=answer.msg_id, resource=answer.resource, source=answer.source, group=answer.group)
        self.tell(names.EDGEHUB, ack)

    def _refuse(self, asked: Said, reason: str) -> None:
        resource = mapping.route_of(asked).resource
        self.tell(names.EDGED, Refused(parent_msg_id=asked.msg_id, resource=resource, reason=reason))

    def _watch(self) -> None:
        """Wake up for the first deadline; one timer for all."""
        deadline = self._calls.next_deadline
        if deadline is not None and not self._watching:
            self._watching = True
            self.after(max(0.0, deadline - self.clock.monotonic()), Overdue())


def _row_changes(key: str, content: object) -> MetaChanges:
    """The rows of an object that edged or an answer brought; none without a content."""
    if content is None:
        return MetaChanges()
    text = text_of(content)
    row = object_row(content, text) if isinstance(content, dict) else None
    return MetaChanges(put=[MetaRow(key, key.split("/")[1], text)], objects=[row] if row else [])
