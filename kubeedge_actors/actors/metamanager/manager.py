"""The actor MetaManager: stores, then notifies, then acknowledges; queries the cloud, or the store when the cloud is
away.
"""

from __future__ import annotations

import msgspec

from kubeedge_actors.actors.metamanager.downstream import (
    NOTIFICATIONS,
    DownstreamPlan,
    DownstreamPlanner,
    content_text,
    contradiction,
    object_row,
    parse_objects,
    uid_of,
)
from kubeedge_actors.actors.metamanager.pending_queries import PendingQueries, PendingQuery
from kubeedge_actors.actors.metamanager.query_responses import (
    ASK_CLOUD,
    ASK_CLOUD_ONCE,
    ack_expected,
    is_token_fresh,
    local_response,
    storable_object,
    token_key,
)
from kubeedge_actors.drivers.store.base import MetaChanges, MetaRow, MetaStore
from kubeedge_actors.errors import ResourceError, StoreError
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants, mapping
from kubeedge_actors.wire.messages import (
    DeletePod,
    ErrorResponse,
    InsertPod,
    Json,
    LinkDown,
    LinkMessage,
    ListPods,
    Message,
    ObjectPushed,
    PatchNode,
    PatchPod,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    RequestCertificate,
    RequestToken,
    Response,
    UpdateNode,
    WriteLease,
    new_id,
)
from kubeedge_actors.wire.resource import Resource, parse

BATCH_SIZE = 256
REMOTE_SECONDS = 60.0
NOT_CONNECTED = "failed to process remote: not connected"
LOST = "connection lost between EdgeCore and CloudCore"
TOO_LATE = "the cloud did not answer in time"
POD_KIND, NODE_KIND = "Pod", "Node"
CRASHED = "the question was lost in a restart"

CloudOnlyRequest = RegisterNode | InsertPod | QueryLease | WriteLease | RequestCertificate


class QueryTimeout(Message, frozen=True, kw_only=True):
    """Timer: a query of the cloud has timed out."""


class MetaManager(Module):
    """The node's copy of the cloud's objects, and the proxy of Edged's requests to the cloud.

    `remote_seconds`: how long the cloud may take to answer. `has_cloud` False: the node works alone, the store answers or nobody does.
    """

    name = constants.METAMANAGER
    group = constants.GROUP_META
    emits = (
        *(*NOTIFICATIONS, Response, ErrorResponse, QueryTimeout),
        *(RegisterNode, UpdateNode, PatchNode, QueryLease, WriteLease, InsertPod, PatchPod, DeletePod, QueryObject),
        *(RequestToken, RequestCertificate, ReportEvent),
    )

    def __init__(self, store: MetaStore, *, has_cloud: bool = True, remote_seconds: float = REMOTE_SECONDS) -> None:
        self._store = store
        self._cloud = has_cloud
        self._remote_seconds = remote_seconds
        self._downstream = DownstreamPlanner(store.get, store.object)
        self._pending = PendingQueries()
        self._timer_set = self._store_failing = self._contradicted = False

    def on_stop(self) -> None:
        """Answer pending requests with ErrorResponse."""
        for call in self._pending.take_all():
            self._respond_error(call.request, CRASHED)

    # --- what the cloud pushes ------------------------------------------------------------------------------------

    @on(batch=BATCH_SIZE)
    def on_object_pushed(self, pushes: list[ObjectPushed]) -> None:
        """Store the objects, notify the modules, acknowledge, in this order, many at a time."""
        believed = [push for push in pushes if not self._contradicts_itself(push)]
        plan = self._downstream.plan(believed)
        try:
            self._store.apply(plan.changes)
        except StoreError as error:
            self._not_stored(believed, error)
        else:
            self._stored(plan)

    def _stored(self, plan: DownstreamPlan) -> None:
        self._store_ok()
        self._downstream.on_committed(plan)
        for message in plan.notifications:
            self.publish(message)
        for ack in plan.acks:
            self.tell(constants.EDGEHUB, ack)

    def _contradicts_itself(self, push: ObjectPushed) -> bool:
        """Whether a push is refused for that; a cloud that means well sends none."""
        if reason := contradiction(push):
            if not self._contradicted:
                self.log.warning("refused, and more of this kind silently: %s", reason)
            self._contradicted = True
            self._refuse(push, reason)
        return bool(reason)

    def _not_stored(self, pushes: list[ObjectPushed], error: StoreError) -> None:
        self._store_failed(error)
        for push in pushes:
            self._refuse(push, str(error))

    def _refuse(self, push: ObjectPushed, reason: str) -> None:
        resource = mapping.route_of(push).resource
        self.tell(constants.EDGEHUB, ErrorResponse(parent_msg_id=push.msg_id, resource=resource, reason=reason))

    def _store_failed(self, error: StoreError) -> None:
        """The store refuses: said once, until it works again."""
        if not self._store_failing:
            self.log.warning("the database rejects writes, retrying: %s", error)
        self._store_failing = True

    def _store_ok(self) -> None:
        if self._store_failing:
            self.log.warning("the database accepts writes again")
        self._store_failing = False

    # --- what edged asks the cloud --------------------------------------------------------------------------------

    @on
    def on_cloud_only_request(self, message: CloudOnlyRequest) -> None:
        """Forward the request to the cloud; its response is stored and passed to Edged."""
        self._query_cloud(message, mapping.route_of(message).resource)

    @on
    def on_query_object(self, message: QueryObject) -> None:
        """Answer a query: from the store if the cloud pushes the object, else from the cloud, else from the store."""
        try:
            key = Resource(message.namespace, message.type, message.name).path
        except ResourceError as error:  # a pod may refer to whatever it likes
            self.tell(constants.EDGED, ErrorResponse(parent_msg_id=message.msg_id, resource="", reason=str(error)))
            return
        if message.type not in ASK_CLOUD or (message.type in ASK_CLOUD_ONCE and message.name):
            answer = local_response(message, key, self._rows(message, key))
            if answer is not None:
                self.tell(constants.EDGED, answer)
                return
        self._query_cloud(message, key)

    @on
    def on_request_token(self, message: RequestToken) -> None:
        """Answer with the stored token while it is fresh, else ask the cloud."""
        try:
            key = token_key(message)
        except ResourceError as error:
            self.tell(constants.EDGED, ErrorResponse(parent_msg_id=message.msg_id, resource="", reason=str(error)))
            return
        row = self._store.get(key)
        answer = local_response(message, key, [row]) if row and is_token_fresh(row, self.clock.now()) else None
        if answer is not None:
            self.tell(constants.EDGED, answer)
        else:
            self._query_cloud(message, key)

    @on
    def on_patch(self, message: PatchNode | PatchPod) -> None:
        """Store the patch and pass it through; so is the answer. A full disk must not keep the cloud from hearing of it."""
        key = mapping.route_of(message).resource
        try:
            self._store.put([MetaRow(key, parse(key).type, message.patch)])
            self._store_ok()
        except StoreError as error:
            self._store_failed(error)
        kind = POD_KIND if isinstance(message, PatchPod) else NODE_KIND
        self._send(message, PendingQuery(message, "", self._deadline(), kind), LOST)

    @on
    def on_update_node(self, message: UpdateNode) -> None:
        """Store it and pass it on; the answer does not wait for the cloud."""
        key = mapping.route_of(message).resource
        try:
            self._store.apply(_row_changes(key, message.object))
        except StoreError as error:
            self._respond_error(message, str(error))
            return
        self._forward(message)
        self.tell(constants.EDGED, Response(parent_msg_id=message.msg_id, resource=key, source=constants.METAMANAGER))

    @on
    def on_delete_pod(self, message: DeletePod) -> None:
        """Pass it on; the row goes when the cloud says that the pod is gone."""
        self._send(message, PendingQuery(message, "", self._deadline()), LOST)

    @on
    def on_report_event(self, message: ReportEvent) -> None:
        """Pass it on; nobody answers."""
        self._forward(message)

    @on
    def on_list_pods(self, message: ListPods) -> list[Json]:
        """All pods of this node."""
        return list(parse_objects(self._store.of_type(constants.POD)))

    def _query_cloud(self, message: LinkMessage, key: str) -> None:
        query = msgspec.structs.replace(message, msg_id=new_id())
        self._send(query, PendingQuery(message, key, self._deadline()), NOT_CONNECTED)

    def _send(self, message: LinkMessage, call: PendingQuery, error_text: str) -> None:
        """Say it to the cloud and wait for the answer; without a cloud there is none, for the reason `error_text`."""
        if not self._cloud:
            self._answer_locally(call, error_text)
            return
        self._pending.add(message.msg_id, call)
        self._set_timer()
        self._forward(message)

    def _forward(self, message: LinkMessage) -> None:
        if self._cloud:
            self.tell(constants.EDGEHUB, message)

    def _deadline(self) -> float:
        return self.clock.monotonic() + self._remote_seconds

    # --- what comes back ------------------------------------------------------------------------------------------

    @on
    def on_response(self, answer: Response) -> None:
        """Store the object of a response, pass the response to Edged, acknowledge it."""
        call = self._pending.take(answer.parent_msg_id)
        if call is None:
            self.log.debug("nobody waits for the answer to %s about %s", answer.parent_msg_id, answer.resource)
            if ack_expected(answer):
                self._acknowledge(answer)
            return
        if call.key or call.kind:
            object = storable_object(answer.content)
            try:
                self._store.apply(_row_changes(call.key, object) if call.key else self._patched(call.kind, object))
            except StoreError as error:
                if call.key:
                    self._respond_error(call.request, str(error))
                    return  # not acknowledged: the cloud says it again
                self._store_failed(error)
        self.tell(constants.EDGED, msgspec.structs.replace(answer, parent_msg_id=call.request.msg_id))
        if call.key:
            self._acknowledge(answer)

    def _patched(self, kind: str, object: object) -> MetaChanges:
        """The object as a patch has made it, for the read API: the cloud does not push what the node itself has said."""
        if not isinstance(object, dict):
            return MetaChanges()
        content = {"kind": kind, "apiVersion": "v1", **object}
        row = object_row(content, content_text(content))
        stored = self._store.object(row.key) if row else None
        same = stored is not None and uid_of(object) in stored.value
        return MetaChanges(objects=[row] if row and same and uid_of(object) else [])

    @on
    def on_error_response(self, refusal: ErrorResponse) -> None:
        """EdgeHub could not send a request: answer from the store, or with the error."""
        call = self._pending.take(refusal.parent_msg_id)
        if call is not None:
            self._answer_locally(call, LOST if isinstance(call.request, PatchNode | PatchPod) else NOT_CONNECTED)

    @on
    def on_link_down(self, message: LinkDown) -> None:
        """Responses of this link will not come: answer pending requests locally."""
        for call in self._pending.take_all():
            if not isinstance(call.request, DeletePod):  # that one is kept until the cloud has it
                self._answer_locally(call, LOST)

    @on
    def on_query_timeout(self, message: QueryTimeout) -> None:
        """The cloud did not answer in time."""
        self._timer_set = False
        for call in self._pending.take_expired(self.clock.monotonic()):
            if not isinstance(call.request, DeletePod):
                self._respond_error(call.request, TOO_LATE)
        self._set_timer()

    def _answer_locally(self, call: PendingQuery, reason: str) -> None:
        """Answer from the store in the cloud's place, or refuse."""
        answer = None
        if isinstance(call.request, QueryObject | QueryLease | RequestToken):
            answer = local_response(call.request, call.key, self._rows(call.request, call.key))
        if answer is not None:
            self.tell(constants.EDGED, answer)
        else:
            self._respond_error(call.request, reason)

    def _rows(self, request: LinkMessage, key: str) -> list[MetaRow]:
        if isinstance(request, QueryObject) and not request.name:
            return self._store.of_type(request.type)
        row = self._store.get(key)
        return [row] if row else []

    def _acknowledge(self, answer: Response) -> None:
        ack = Response(parent_msg_id=answer.msg_id, resource=answer.resource, source=answer.source, group=answer.group)
        self.tell(constants.EDGEHUB, ack)

    def _respond_error(self, request: LinkMessage, reason: str) -> None:
        resource = mapping.route_of(request).resource
        self.tell(constants.EDGED, ErrorResponse(parent_msg_id=request.msg_id, resource=resource, reason=reason))

    def _set_timer(self) -> None:
        """Wake up for the first deadline; one timer for all."""
        deadline = self._pending.next_deadline
        if deadline is not None and not self._timer_set:
            self._timer_set = True
            self.after(max(0.0, deadline - self.clock.monotonic()), QueryTimeout())


def _row_changes(key: str, content: object) -> MetaChanges:
    """The rows of an object that edged or an answer brought; none without a content."""
    if content is None:
        return MetaChanges()
    text = content_text(content)
    row = object_row(content, text) if isinstance(content, dict) else None
    return MetaChanges(put=[MetaRow(key, key.split("/")[1], text)], objects=[row] if row else [])
