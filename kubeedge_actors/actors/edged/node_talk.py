"""The conversation about this node: registration, lease, status. Pure: answers and times in, messages out.

Level-triggered: `step` looks at what is so and says what has to be said now; it may be called at any time. Nothing is
said while the link is down. Times of the conversation: KubeEdge edgecontroller, "the first 60 seconds of a genuine
edgecore".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kubeedge_actors import nesting
from kubeedge_actors.actors.edged import patch
from kubeedge_actors.actors.edged.node_status import NodeFacts, labels, node, node_status, same_but_beats
from kubeedge_actors.kubernetes.objects import owner_reference
from kubeedge_actors.kubernetes.time import format_micro_time
from kubeedge_actors.wire.messages import (
    PatchNode,
    QueryLease,
    QueryObject,
    RegisterNode,
    Said,
    UpdateNode,
    WriteLease,
)
from kubeedge_actors.wire.names import (
    CLUSTER_SCOPE,
    ERR,
    ERR_STATUS,
    INSERT,
    LEASE_NAMESPACE,
    NODE,
    OBJECT,
    UPDATE,
)

Json = dict[str, Any]

PERIOD = 10.0
"""Seconds between two looks at the status."""
LEASE_PERIOD = 12.0
"""Seconds between two leases: three in the 40 s that one is good for. The original takes 10 s, which is 3 MB a day more."""
REPORT, RARE_REPORT = 300.0, 900.0
"""Seconds between two reports of a status in which nothing has changed; the rare one where the cloud renews the lease."""
LEASE_SECONDS = 40
MANAGED = "managedFields"
RETRIES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 7.0)
PATIENCE = 60.0
"""Seconds after which an answer is not awaited any more."""


class Thread(msgspec.Struct):
    """One line of the conversation: what was asked last, and when the next thing may be said."""

    due: float = 0.0
    asked: str = ""
    since: float = 0.0
    failures: int = 0

    def free(self, now: float) -> bool:
        """Whether something may be said now."""
        if self.asked and now - self.since >= PATIENCE:
            self.asked = ""
        return not self.asked and now >= self.due

    def say(self, message: Said, now: float) -> Said:
        """Remember that this was said."""
        self.asked, self.since = message.msg_id, now
        return message

    def done(self, due: float) -> None:
        """The answer was good; the next thing is due at `due`."""
        self.asked, self.failures, self.due = "", 0, due

    def at_once(self, now: float) -> None:
        """The answer leads to the next thing. Failures are not forgotten: if that fails each time, it is said ever less often."""
        self.asked, self.due = "", now

    def failed(self, now: float) -> None:
        """The answer was bad: again, later each time."""
        self.asked = ""
        self.due = now + RETRIES[min(self.failures, len(RETRIES) - 1)]
        self.failures += 1


class NodeTalk:
    """What is said about one node. `facts` reads the node as it is; `leased`: the cloud renews its lease."""

    def __init__(self, name: str, facts: Callable[[], NodeFacts], link_up: bool = True, leased: bool = False) -> None:
        self.name, self._facts = name, facts
        self.link_up, self.leased = link_up, leased
        self.registered = False
        self.base: Json | None = None
        self._lease: Json | None = None
        self._lease_missing = self._labels_checked = self._changed = False
        self._reported = float("-inf")
        self._registering, self._leasing, self._stating = Thread(), Thread(), Thread()
        self._asked_store = Thread()

    def wake(self) -> float:
        """When `step` may have something to say if nothing happens; infinity while the link is down."""
        if not self.link_up:
            return float("inf")
        threads = [self._stating if self.registered else self._registering]
        if not self.leased:
            threads.append(self._leasing)
        return min(thread.since + PATIENCE if thread.asked else thread.due for thread in threads)

    def link(self, up: bool, leased: bool = False) -> None:
        """The link came up or went down: nobody answers what was asked before."""
        self.link_up, self.leased = up, leased
        for thread in (self._registering, self._leasing, self._stating):
            thread.done(0.0)
        self._reported = float("-inf")  # also tells whether the node is still there
        self._changed = (
            up  # while it was silent somebody may have said that it is lost: the answer to the first report tells
        )

    def status_changed(self, now: float) -> None:
        """Something about the node changed that ought to be told before the next period, or before the next answer."""
        self._stating.due = min(self._stating.due, now)
        self._changed = bool(self._stating.asked)

    # --- speaking ---------------------------------------------------------------------------------------------------

    def step(self, now: float) -> list[Said]:
        """What has to be said now."""
        said: list[Said] = []
        if self.base is None and not self._asked_store.asked:
            said.append(self._asked_store.say(QueryObject(type=NODE, namespace=CLUSTER_SCOPE, name=self.name), now))
        if not self.link_up:
            return said
        if not self.leased and self._leasing.free(now):
            said += self._lease_step(now)
        if not self.registered and self._registering.free(now):
            said.append(self._registering.say(RegisterNode(name=self.name, object=node(self._facts(), now)), now))
        if self.registered and self._stating.free(now):
            said += self._status_step(now)
        return said

    def _lease_step(self, now: float) -> list[Said]:
        if self._lease is not None:
            spec = {**self._lease.get("spec", {}), "renewTime": format_micro_time(now)}
            renewed = {**self._lease, "metadata": _unmanaged(self._lease.get("metadata") or {}), "spec": spec}
            return [self._leasing.say(WriteLease(operation=UPDATE, name=self.name, object=renewed), now)]
        if not self._lease_missing or not self._owner:
            return [self._leasing.say(QueryLease(name=self.name), now)]
        made = self._new_lease(self._owner, now)
        return [self._leasing.say(WriteLease(operation=INSERT, name=self.name, object=made), now)]

    @property
    def _owner(self) -> str:
        """The uid of the node, once it is known."""
        return str(((self.base or {}).get("metadata") or {}).get("uid") or "")

    def _new_lease(self, uid: str, now: float) -> Json:
        owner = owner_reference("v1", "Node", self.name, uid)
        metadata: Json = {"name": self.name, "namespace": LEASE_NAMESPACE, "creationTimestamp": None}
        metadata["ownerReferences"] = [owner]
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": format_micro_time(now)}
        return {"metadata": metadata, "spec": spec}

    def _status_step(self, now: float) -> list[Said]:
        said: list[Said] = []
        old = (self.base or {}).get("status") or {}
        new = node_status(self._facts(), old, now)
        if self.base is not None and not self._labels_checked:
            said += self._labels_step()
        if same_but_beats(old, new) and now - self._reported < (RARE_REPORT if self.leased else REPORT):
            self._stating.due = now + PERIOD
            return said + self._look(now)
        changes = patch.status_patch(old, new)
        self._reported = now
        return [*said, self._stating.say(PatchNode(name=self.name, patch=patch.text(changes)), now)]

    def _look(self, now: float) -> list[Said]:
        """Ask the store how others see the node: one that was said to be lost while its link was up has to object."""
        if self.base is None or (self._asked_store.asked and now - self._asked_store.since < PATIENCE):
            return []
        return [self._asked_store.say(QueryObject(type=NODE, namespace=CLUSTER_SCOPE, name=self.name), now)]

    def _labels_step(self) -> list[Said]:
        """A node that somebody else made gets the labels that make it an edge node."""
        self._labels_checked = True
        facts, metadata = self._facts(), (self.base or {}).get("metadata") or {}
        wanted = labels(facts)
        if wanted.items() <= (metadata.get("labels") or {}).items():
            return []
        merged = {**metadata, "labels": {**(metadata.get("labels") or {}), **wanted}}
        return [UpdateNode(name=self.name, object={**(self.base or {}), "metadata": merged})]

    # --- listening --------------------------------------------------------------------------------------------------

    def answered(self, parent: str, content: Any, now: float) -> bool:
        """Take an answer; False when it answers nothing that was asked here."""
        for thread, take in (
            (self._asked_store, self._stored),
            (self._registering, self._on_registered),
            (self._leasing, self._on_lease),
            (self._stating, self._on_status),
        ):
            if parent and thread.asked == parent:
                take(content, now)
                return True
        return False

    def refused(self, parent: str, now: float) -> bool:
        """The question could not be asked; False when it was not asked here."""
        for thread in (self._registering, self._leasing, self._stating):
            if thread.asked == parent:
                thread.failed(now)
                return True
        return self._asked_store.asked == parent

    def _stored(self, content: Any, now: float) -> None:
        found = stored_object(content)
        if found is None and self.base is None:
            return  # asked once: the answer to the registration brings it
        self._asked_store.done(now)
        if found is None:
            return
        if self.base is None:
            self.base = found
        elif _version(found) > _version(self.base):
            self.base, self._stating.due = found, min(now, self._stating.due)

    def _on_registered(self, content: Any, now: float) -> None:
        found, error = outcome(content)
        if error is None and found:
            self.base, self._labels_checked = found, True
            self._asked_store.done(now)
        elif error is None or error.get("reason") != "AlreadyExists":
            self._registering.failed(now)
            return
        self.registered = True
        self._registering.done(now)
        self._stating.done(now)
        self._reported = float("-inf")

    def _on_lease(self, content: Any, now: float) -> None:
        found, error = outcome(content)
        sent = self._leasing.since
        if error is None and found:
            written = self._lease is not None or self._lease_missing
            self._lease, self._lease_missing = found, False
            if written:
                self._leasing.done(sent + LEASE_PERIOD)
            else:
                self._leasing.at_once(now)
            return
        before, self._lease = self._lease_missing, None
        self._lease_missing = error is not None and error.get("reason") == "NotFound"
        if self._lease_missing and not self._owner:
            # the node owns its lease and is not known yet: asked again a period later, as a genuine edge does
            self._lease_missing = False
            self._leasing.done(sent + LEASE_PERIOD)
        elif self._lease_missing and not before:
            self._leasing.at_once(now)
        else:
            self._leasing.failed(now)

    def _on_status(self, content: Any, now: float) -> None:
        found, error = outcome(content)
        if error is None and found:
            self.base = found
            at_once = self._changed or not self._labels_checked
            self._stating.done(now if at_once else now + PERIOD)
            self._changed = False
            return
        self._stating.failed(now)
        if error is not None and error.get("reason") == "NotFound":
            self.registered, self._labels_checked = False, False
            self._registering.done(now)


def _version(object: Json) -> int:
    text = str((object.get("metadata") or {}).get("resourceVersion") or "")
    return int(text) if text.isdecimal() else 0


def _unmanaged(metadata: Json) -> Json:
    """Metadata without the record of who wrote which field, which would travel both ways with every renewal.

    One empty entry clears it for good (source: Kubernetes' server-side apply, "Clearing managedFields").
    """
    kept = {key: value for key, value in metadata.items() if key != MANAGED}
    return {**kept, MANAGED: [{}]} if metadata.get(MANAGED) else kept


def outcome(content: Any) -> tuple[Json | None, Json | None]:
    """Object and error (a Status) of an answer of the form {"Object", "Err"}; a bare error counts as one."""
    if not isinstance(content, dict):
        return None, None
    if set(content) == {ERR_STATUS}:
        return None, dict(content[ERR_STATUS])
    error = content.get(ERR)
    if error is None:
        found = content.get(OBJECT)
        return (found if isinstance(found, dict) else None), None
    return content.get(OBJECT), dict((error or {}).get(ERR_STATUS) or {})


def stored_object(content: Any) -> Json | None:
    """The object of an answer to a query: itself, or the only one in a list of stored texts; None when there is none."""
    if isinstance(content, list):
        content = content[0] if content else None
    if isinstance(content, str):
        try:
            content = msgspec.json.decode(nesting.checked(content))
        except msgspec.DecodeError:
            return None
    if not isinstance(content, dict) or set(content) == {ERR_STATUS}:
        return None
    return content if content.get("metadata") else None
