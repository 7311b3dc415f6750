"""Registration, lease and status of this node (source: kubelet_node_status.go and the nodelease controller). Pure:
responses and times in, messages out.

Level-triggered: `next_messages` looks at what is so and says what has to be said now; it may be called at any time. Nothing is
said while the link is down. Times of the conversation: KubeEdge edgecontroller, "the first 60 seconds of a genuine
edgecore".
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.actors.edged.messages import LinkState
from kubeedge_actors.actors.edged.status import strategic_diff
from kubeedge_actors.actors.edged.status.node_status import (
    NodeDescription,
    equal_ignoring_heartbeats,
    node_labels,
    node_object,
    node_status,
)
from kubeedge_actors.actors.edged.status.request_schedule import RESPONSE_TIMEOUT, RequestSchedule
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.objects import owner_reference
from kubeedge_actors.kubernetes.time import format_micro_time
from kubeedge_actors.wire.constants import (
    CLUSTER_SCOPE,
    ERR,
    ERR_STATUS,
    INSERT,
    NODE,
    OBJECT,
    UPDATE,
)
from kubeedge_actors.wire.messages import (
    LinkMessage,
    PatchNode,
    QueryLease,
    QueryObject,
    RegisterNode,
    UpdateNode,
    WriteLease,
)

log = logging.getLogger(__name__)

Json = dict[str, Any]

STATUS_PERIOD = 10.0
"""Seconds between two looks at the status."""
LEASE_PERIOD = 12.0
"""Seconds between two leases: three in the 40 s that one is good for. The original takes 10 s, which is 3 MB a day more."""
REPORT_PERIOD, RARE_REPORT_PERIOD = 300.0, 900.0
"""Seconds between two reports of a status in which nothing has changed; the rare one where the cloud renews the lease."""
LEASE_SECONDS = 40
MANAGED = "managedFields"
DELETED = "node %s was deleted in the cluster: it gets no more pods, and registers again when the edge is restarted"


class NodeStatusManager:
    """Reports one node. `description` reads the node as it is; `cloud_renews_lease`: the cloud renews its lease; `is_fresh`: `node` came
    from the cloud after the last `fetch`. `registered`: it has registered since the edge was started, which it does once;
    `is_missing`: since then somebody has deleted it.
    """

    def __init__(self, name: str, description: Callable[[], NodeDescription], link: LinkState) -> None:
        self.name, self._description = name, description
        self.link_up, self.cloud_renews_lease = link.up, link.cloud_renews_lease
        self.registered, self.is_missing = link.registered, False
        self.node: Json | None = None
        self._lease: Json | None = None
        self._lease_missing = self._labels_checked = self._changed = False
        self._reported = float("-inf")
        self._register_request, self._lease_request, self._status_request = (
            RequestSchedule(),
            RequestSchedule(),
            RequestSchedule(),
        )
        self._store_query = RequestSchedule()
        self.is_fresh = False

    def next_due(self) -> float:
        """When `next_messages` may have something to say if nothing happens; infinity while the link is down."""
        if not self.link_up:
            return float("inf")
        threads = [self._status_request if self.registered else self._register_request]
        if not self.cloud_renews_lease:
            threads.append(self._lease_request)
        return min(thread.sent_at + RESPONSE_TIMEOUT if thread.msg_id else thread.due for thread in threads)

    def on_link_change(self, up: bool, cloud_renews_lease: bool = False) -> None:
        """The link came up or went down: earlier requests get no response."""
        self.link_up, self.cloud_renews_lease = up, cloud_renews_lease
        for thread in (self._register_request, self._lease_request, self._status_request):
            thread.on_success(0.0)
        self._reported = float("-inf")  # also tells whether the node is still there
        # the node may have been marked Unknown while offline; report once more after the first response
        self._changed = up

    def on_status_changed(self, now: float) -> None:
        """Something about the node changed that ought to be told before the next period, or before the next answer."""
        self._status_request.due = min(self._status_request.due, now)
        self._changed = bool(self._status_request.msg_id)

    def fetch(self, now: float) -> None:
        """Have the Node sent as the cloud has it; then `is_fresh` is set."""
        self.is_fresh, self._reported = False, float("-inf")
        self.on_status_changed(now)

    # --- speaking ---------------------------------------------------------------------------------------------------

    def next_messages(self, now: float) -> list[LinkMessage]:
        """The messages to send now."""
        messages: list[LinkMessage] = []
        if self.node is None and not self._store_query.msg_id:
            messages.append(
                self._store_query.on_sent(QueryObject(type=NODE, namespace=CLUSTER_SCOPE, name=self.name), now)
            )
        if not self.link_up:
            return messages
        if not self.cloud_renews_lease and self._lease_request.is_due(now):
            messages += self._lease_step(now)
        if not self.registered and self._register_request.is_due(now):
            messages.append(
                self._register_request.on_sent(
                    RegisterNode(name=self.name, object=node_object(self._description(), now)), now
                )
            )
        if self.registered and self._status_request.is_due(now):
            messages += self._status_step(now)
        return messages

    def _lease_step(self, now: float) -> list[LinkMessage]:
        if self._lease is not None:
            spec = {**self._lease.get("spec", {}), "renewTime": format_micro_time(now)}
            renewed = {
                **self._lease,
                "metadata": _without_managed_fields(self._lease.get("metadata") or {}),
                "spec": spec,
            }
            return [self._lease_request.on_sent(WriteLease(operation=UPDATE, name=self.name, object=renewed), now)]
        if not self._lease_missing or not self._owner:
            return [self._lease_request.on_sent(QueryLease(name=self.name), now)]
        lease = self._new_lease(self._owner, now)
        return [self._lease_request.on_sent(WriteLease(operation=INSERT, name=self.name, object=lease), now)]

    @property
    def _owner(self) -> str:
        """The uid of the node, once it is known."""
        return str(((self.node or {}).get("metadata") or {}).get("uid") or "")

    def _new_lease(self, uid: str, now: float) -> Json:
        owner = owner_reference("v1", "Node", self.name, uid)
        metadata: Json = {"name": self.name, "namespace": well_known.LEASE_NAMESPACE, "creationTimestamp": None}
        metadata["ownerReferences"] = [owner]
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": format_micro_time(now)}
        return {"metadata": metadata, "spec": spec}

    def _status_step(self, now: float) -> list[LinkMessage]:
        messages: list[LinkMessage] = []
        old = (self.node or {}).get("status") or {}
        new = node_status(self._description(), old, now)
        if self.node is not None and not self._labels_checked:
            messages += self._labels_step()
        if equal_ignoring_heartbeats(old, new) and now - self._reported < (
            RARE_REPORT_PERIOD if self.cloud_renews_lease else REPORT_PERIOD
        ):
            self._status_request.due = now + STATUS_PERIOD
            return messages + self._query_node(now)
        changes = strategic_diff.status_patch(old, new)
        self._reported = now
        return [
            *messages,
            self._status_request.on_sent(PatchNode(name=self.name, patch=strategic_diff.patch_text(changes)), now),
        ]

    def _query_node(self, now: float) -> list[LinkMessage]:
        """Re-read the stored Node.

        If somebody marked it Unknown while the link was up, the next status report corrects that.
        """
        if self.node is None or (self._store_query.msg_id and now - self._store_query.sent_at < RESPONSE_TIMEOUT):
            return []
        return [self._store_query.on_sent(QueryObject(type=NODE, namespace=CLUSTER_SCOPE, name=self.name), now)]

    def _labels_step(self) -> list[LinkMessage]:
        """A node that somebody else made gets the labels that make it an edge node."""
        self._labels_checked = True
        description, metadata = self._description(), (self.node or {}).get("metadata") or {}
        labels = node_labels(description)
        if labels.items() <= (metadata.get("labels") or {}).items():
            return []
        merged = {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}
        return [UpdateNode(name=self.name, object={**(self.node or {}), "metadata": merged})]

    # --- listening --------------------------------------------------------------------------------------------------

    def on_response(self, parent: str, content: Any, now: float) -> bool:
        """Handle a response; False when it belongs to no request of this object."""
        for thread, take in (
            (self._store_query, self._on_stored_node),
            (self._register_request, self._on_registered),
            (self._lease_request, self._on_lease),
            (self._status_request, self._on_status),
        ):
            if parent and thread.msg_id == parent:
                take(content, now)
                return True
        return False

    def on_error(self, parent: str, now: float) -> bool:
        """A request could not be sent; False when it is no request of this object."""
        for thread in (self._register_request, self._lease_request, self._status_request):
            if thread.msg_id == parent:
                thread.on_failure(now)
                return True
        return self._store_query.msg_id == parent

    def _on_stored_node(self, content: Any, now: float) -> None:
        node = parse_query_response(content)
        if node is None and self.node is None:
            return  # asked once: the answer to the registration brings it
        self._store_query.on_success(now)
        if node is None:
            return
        if self.node is None:
            self.node = node
        elif _version(node) > _version(self.node):
            self.node, self._status_request.due = node, min(now, self._status_request.due)

    def _on_registered(self, content: Any, now: float) -> None:
        node, error = parse_object_resp(content)
        if error is None and node:
            self.node, self._labels_checked, self.is_fresh = node, True, True
            self._store_query.on_success(now)
        elif error is None or error.get("reason") != "AlreadyExists":
            self._register_request.on_failure(now)
            return
        self.registered = True
        self._register_request.on_success(now)
        self._status_request.on_success(now)
        self._reported = float("-inf")

    def _on_lease(self, content: Any, now: float) -> None:
        lease, error = parse_object_resp(content)
        sent_at = self._lease_request.sent_at
        if error is None and lease:
            written = self._lease is not None or self._lease_missing
            self._lease, self._lease_missing = lease, False
            if written:
                self._lease_request.on_success(sent_at + LEASE_PERIOD)
            else:
                self._lease_request.on_intermediate_success(now)
            return
        before, self._lease = self._lease_missing, None
        self._lease_missing = error is not None and error.get("reason") == "NotFound"
        if self._lease_missing and not self._owner:
            # the node owns its lease and is not known yet: asked again a period later, as a genuine edge does
            self._lease_missing = False
            self._lease_request.on_success(sent_at + LEASE_PERIOD)
        elif self._lease_missing and not before:
            self._lease_request.on_intermediate_success(now)
        else:
            self._lease_request.on_failure(now)

    def _on_status(self, content: Any, now: float) -> None:
        node, error = parse_object_resp(content)
        if error is None and node:
            self.node, self.is_fresh = node, True
            self._set_missing(False)
            at_once = self._changed or not self._labels_checked
            self._status_request.on_success(now if at_once else now + STATUS_PERIOD)
            self._changed = False
            return
        self._status_request.on_failure(now)
        if error is not None and error.get("reason") == "NotFound":
            # somebody has deleted it: a kubelet registers at its start only, else nobody could take a node away
            self._set_missing(True)
            self._labels_checked = False
            self._status_request.due = now + STATUS_PERIOD

    def _set_missing(self, missing: bool) -> None:
        if missing and not self.is_missing:
            log.warning(DELETED, self.name)
        elif self.is_missing and not missing:
            log.warning("node %s is in the cluster again", self.name)
        self.is_missing = missing


def _version(object: Json) -> int:
    text = str((object.get("metadata") or {}).get("resourceVersion") or "")
    return int(text) if text.isdecimal() else 0


def _without_managed_fields(metadata: Json) -> Json:
    """Metadata without the record of who wrote which field, which would travel both ways with every renewal.

    One empty entry clears it for good (source: Kubernetes' server-side apply, "Clearing managedFields").
    """
    remaining = {key: value for key, value in metadata.items() if key != MANAGED}
    return {**remaining, MANAGED: [{}]} if metadata.get(MANAGED) else remaining


def parse_object_resp(content: Any) -> tuple[Json | None, Json | None]:
    """Object and error (a Status) of an answer of the form {"Object", "Err"}; a bare error counts as one."""
    if not isinstance(content, dict):
        return None, None
    if set(content) == {ERR_STATUS}:
        return None, dict(content[ERR_STATUS])
    error = content.get(ERR)
    if error is None:
        object = content.get(OBJECT)
        return (object if isinstance(object, dict) else None), None
    return content.get(OBJECT), dict((error or {}).get(ERR_STATUS) or {})


def parse_query_response(content: Any) -> Json | None:
    """The object of an answer to a query: itself, or the only one in a list of stored texts; None when there is none."""
    if isinstance(content, list):
        content = content[0] if content else None
    if isinstance(content, str):
        try:
            content = msgspec.json.decode(depth_limit.check_depth(content))
        except msgspec.DecodeError:
            return None
    if not isinstance(content, dict) or set(content) == {ERR_STATUS}:
        return None
    return content if content.get("metadata") else None
