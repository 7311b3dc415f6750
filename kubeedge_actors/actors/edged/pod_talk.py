"""The conversation about one pod: its status, and its end. Pure: answers in, messages out, level-triggered.

What was acknowledged is the status in the newest object the cluster has sent; what differs from it is reported, one
patch at a time. Of a pod of which nothing differs the cloud is told all the same, once after each begin of the link:
whether it still knows it. What nobody there knows, whatever records were lost, is answered with its end.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

from kubeedge_actors.actors.edged import patch
from kubeedge_actors.actors.edged.conditions import ORDER
from kubeedge_actors.actors.edged.node_talk import PATIENCE, Thread, outcome
from kubeedge_actors.actors.edged.podspec import TERMINAL, PodView
from kubeedge_actors.actors.edged.static_pods import mirror
from kubeedge_actors.wire.messages import DeletePod, InsertPod, PatchPod, Said
from kubeedge_actors.wire.names import OK

Json = dict[str, Any]

SPREAD = 30.0
"""Seconds after the begin of the link within which each pod has been named; the pods of many nodes not all at once."""
KEPT = ("startTime", "phase", "reason", "message", "podIP")
INFINITY = float("inf")


class PodTalk:
    """What is said about one pod. For a static pod the object in the cluster is its mirror, which is made first."""

    def __init__(self, pod: PodView, *, static: bool = False) -> None:
        self.static = static
        self.uid = "" if static else pod.name.uid
        self.acked: Json = {} if static else dict(pod.status)
        self.built: Json = {}
        self._version = _version(pod.raw)
        self._namespace, self._name, self._raw = pod.name.namespace, pod.name.name, pod.raw
        self._gone = False
        self._said = ""
        self._name_at = 0.0
        self._patching, self._inserting, self._deleting = Thread(), Thread(), Thread()

    def learn(self, pod: Json) -> bool:
        """The cluster has said what the object is now; False when we have had newer news."""
        version = _version(pod)
        if version and self._version and version < self._version:
            return False
        self._version = version
        self.uid = (pod.get("metadata") or {}).get("uid") or self.uid
        self.acked = pod.get("status") or {}
        self._gone = False
        return True

    def lost(self) -> None:
        """The object of a static pod has gone from the cluster: it is made again."""
        self.uid, self.acked, self._version, self._gone = "", {}, 0, False
        self._inserting.done(0.0)

    def link(self, now: float, *, naming: bool) -> None:
        """The link came up or went down: what was said before is not answered, and may have been lost.

        `naming`: the cloud is one of ours and answers the name of a pod that it does not know.
        """
        share = crc32(f"{self._namespace}/{self._name}".encode()) % 1000 / 1000
        self._name_at = now + SPREAD * share if naming else INFINITY
        for thread in (self._patching, self._inserting, self._deleting):
            thread.done(0.0)
        self._gone, self._said = False, ""

    def previous(self) -> Json:
        """The status to build the next one on: the cluster's, with what we have said or wanted to say of our own."""
        ours = {each["type"]: each for each in self.built.get("conditions") or () if each["type"] in ORDER}
        theirs = {each.get("type"): each for each in self.acked.get("conditions") or ()}
        own: Json = {key: self.built[key] for key in KEPT if key in self.built}
        return {**self.acked, **own, "conditions": list((theirs | ours).values())}

    def wake(self) -> float:
        """When something may be said again if nothing happens."""
        threads = (self._patching, self._inserting, self._deleting)
        waits = [thread.since + PATIENCE if thread.asked else thread.due for thread in threads]
        if self.uid and not self._patching.asked and not self._gone:
            waits.append(max(self._name_at, self._patching.due))
        return min((wait for wait in waits if wait > 0.0), default=INFINITY)

    # --- speaking ---------------------------------------------------------------------------------------------------

    def step(self, status: Json, now: float, *, ended: bool, node_uid: str) -> list[Said]:
        """What has to be said: `status` is the pod's now; `ended`: it was to go, and all its containers have ended."""
        self.built = status
        if self._gone:
            return []
        if not self.uid:
            return self._insert(now, node_uid) if self.static and not ended else []
        changes = patch.status_patch(self.acked, status)
        patches = (self._patch(changes, now) if changes else []) or self._name_it(now)
        if patches or not self._patching.free(now):
            return patches
        if ended and (self.acked.get("phase") in TERMINAL or self.static) and self._deleting.free(now):
            return [self._deleting.say(self.deletion(), now)]
        return []

    def _patch(self, changes: Json, now: float) -> list[Said]:
        """Say what differs. What was acknowledged and still differs is not kept by the cluster: it is not said for
        ever.
        """
        said = patch.text({"metadata": {"uid": self.uid}, **changes})
        if not self._patching.free(now) or said == self._said:
            return []
        self._said = said
        return [self._patching.say(PatchPod(namespace=self._namespace, name=self._name, patch=said), now)]

    def _name_it(self, now: float) -> list[Said]:
        """Ask whether the cluster still knows the pod: a patch that changes nothing."""
        if now < self._name_at or not self._patching.free(now):
            return []
        said = patch.text({"metadata": {"uid": self.uid}})
        return [self._patching.say(PatchPod(namespace=self._namespace, name=self._name, patch=said), now)]

    def deletion(self) -> DeletePod:
        """Remove the object, if it is still the one we mean."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        return DeletePod(namespace=self._namespace, name=self._name, options=options)

    def _insert(self, now: float, node_uid: str) -> list[Said]:
        if not self._inserting.free(now):
            return []
        message = InsertPod(namespace=self._namespace, name=self._name, object=mirror(self._raw, node_uid))
        return [self._inserting.say(message, now)]

    # --- listening --------------------------------------------------------------------------------------------------

    def answered(self, parent: str, content: Any, now: float) -> bool:
        """Take an answer; False when it answers nothing that was asked here."""
        if parent and self._patching.asked == parent:
            self._take(self._patching, content, now)
        elif parent and self._inserting.asked == parent:
            self._take(self._inserting, content, now)
        elif parent and self._deleting.asked == parent:
            if content == OK:
                self._deleting.done(INFINITY)  # what follows is the news that the object is gone
            else:
                self._deleting.failed(now)
        else:
            return False
        return True

    def refused(self, parent: str, now: float) -> bool:
        """The question could not be asked; False when it was not asked here."""
        for thread in (self._patching, self._inserting, self._deleting):
            if parent and thread.asked == parent:
                thread.failed(now)
                self._said = ""
                return True
        return False

    def _take(self, thread: Thread, content: Any, now: float) -> None:
        found, error = outcome(content)
        if error is None and found:
            thread.done(0.0)
            self._name_at = INFINITY
            self.learn(found)
            return
        thread.failed(now)
        self._said = ""
        if error is not None and error.get("reason") in ("NotFound", "Conflict") and thread is self._patching:
            self._gone = not self.static
            if self.static:
                self.lost()


def _version(pod: Json) -> int:
    """The object's version as a number, which etcd's are; 0 when it is none."""
    text = str((pod.get("metadata") or {}).get("resourceVersion") or "")
    return int(text) if text.isdigit() else 0
