"""Reports the status of one pod, and its deletion (source: kubelet status manager). Pure: responses in, messages out,
level-triggered.

What was acknowledged is the status in the newest object the cluster has sent; what differs from it is reported, one
patch at a time. After each reconnect an empty patch is sent once for every pod: if the API no longer has the pod, the
cloud answers with a delete.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

from kubeedge_actors.actors.edged.pod.pod_spec import TERMINAL, PodView
from kubeedge_actors.actors.edged.pod.static_pods import make_mirror_pod
from kubeedge_actors.actors.edged.status import strategic_diff
from kubeedge_actors.actors.edged.status.node_status_manager import parse_object_resp
from kubeedge_actors.actors.edged.status.pod_status import ORDER
from kubeedge_actors.actors.edged.status.request_schedule import RESPONSE_TIMEOUT, RequestSchedule
from kubeedge_actors.hubs.rate_limits import TokenBucket
from kubeedge_actors.wire.constants import OK
from kubeedge_actors.wire.messages import DeletePod, InsertPod, LinkMessage, PatchPod

Json = dict[str, Any]

EXISTENCE_CHECK_SPREAD = 30.0
"""Seconds after the begin of the link within which each pod has been named; the pods of many nodes not all at once."""
PATCH_RATE, PATCH_BURST = 1.0, 20
"""Patches of one pod a second in the long run, and at once: a cloud whose answers never match is not asked as fast as it answers."""
KEPT_FIELDS = ("startTime", "phase", "reason", "message", "podIP")
INFINITY = float("inf")


class PodStatusReporter:
    """Reports one pod. For a static pod the object in the cluster is its mirror, which is created first."""

    def __init__(self, pod: PodView, *, static: bool = False) -> None:
        self.static = static
        self.uid = "" if static else pod.name.uid
        self.acked: Json = {} if static else dict(pod.status)
        self.built: Json = {}
        self._version = _version(pod.raw)
        self._namespace, self._name, self._raw = pod.name.namespace, pod.name.name, pod.raw
        self._gone = False
        self._last_patch = ""
        self._exists_check_at = 0.0
        self._pace = TokenBucket(PATCH_RATE, PATCH_BURST)
        self._patch_request, self._insert_request, self._delete_request = (
            RequestSchedule(),
            RequestSchedule(),
            RequestSchedule(),
        )

    def on_pod(self, pod: Json) -> bool:
        """The v1.Pod was changed; False when a newer version is known."""
        version = _version(pod)
        if version and self._version and version < self._version:
            return False
        self._version = version
        self.uid = (pod.get("metadata") or {}).get("uid") or self.uid
        self.acked = pod.get("status") or {}
        self._gone = False
        return True

    def on_mirror_deleted(self) -> None:
        """The mirror pod was deleted: it is created again."""
        self.uid, self.acked, self._version, self._gone = "", {}, 0, False
        self._insert_request.on_success(0.0)

    def on_link_change(self, now: float, *, check_exists: bool) -> None:
        """The link came up or went down: earlier messages get no response, and may have been lost.

        `check_exists`: the cloud is one of ours and answers the name of a pod that it does not know.
        """
        share = crc32(f"{self._namespace}/{self._name}".encode()) % 1000 / 1000
        self._exists_check_at = now + EXISTENCE_CHECK_SPREAD * share if check_exists else INFINITY
        for thread in (self._patch_request, self._insert_request, self._delete_request):
            thread.on_success(0.0)
        self._gone, self._last_patch = False, ""

    def base_status(self) -> Json:
        """The v1.PodStatus to build the next one on: the cluster's, with our own fields as last reported."""
        built = {
            condition["type"]: condition
            for condition in self.built.get("conditions") or ()
            if condition["type"] in ORDER
        }
        acked = {condition.get("type"): condition for condition in self.acked.get("conditions") or ()}
        own: Json = {key: self.built[key] for key in KEPT_FIELDS if key in self.built}
        return {**self.acked, **own, "conditions": list((acked | built).values())}

    def restart_counts(self) -> dict[str, int]:
        """Container name -> the restart count of the last one that has run, as it was told; of one that waits the next is told."""
        counts: dict[str, int] = {}
        for status in (self.acked, self.built):
            for shown in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
                count = int(shown.get("restartCount") or 0) - (not shown.get("containerID"))
                if count >= 0:
                    counts[shown["name"]] = max(count, counts.get(shown["name"], 0))
        return counts

    def next_due(self) -> float:
        """When `next_messages` may have something if nothing happens."""
        threads = (self._patch_request, self._insert_request, self._delete_request)
        waits = [thread.sent_at + RESPONSE_TIMEOUT if thread.msg_id else thread.due for thread in threads]
        if self.uid and not self._patch_request.msg_id and not self._gone:
            waits.append(max(self._exists_check_at, self._patch_request.due))
        return min((wait for wait in waits if wait > 0.0), default=INFINITY)

    # --- speaking ---------------------------------------------------------------------------------------------------

    def next_messages(self, status: Json, now: float, *, ended: bool, node_uid: str) -> list[LinkMessage]:
        """The messages to send now: `status` is the v1.PodStatus; `ended`: it was to go, and all its containers have ended."""
        self.built = status
        if self._gone:
            return []
        if not self.uid:
            return self._insert(now, node_uid) if self.static and not ended else []
        changes = strategic_diff.status_patch(self.acked, status)
        patches = (self._patch(changes, now) if changes else []) or self._existence_check(now)
        if patches or not self._patch_request.is_due(now):
            return patches
        if ended and (self.acked.get("phase") in TERMINAL or self.static) and self._delete_request.is_due(now):
            return [self._delete_request.on_sent(self.deletion_request(), now)]
        return []

    def _patch(self, changes: Json, now: float) -> list[LinkMessage]:
        """Say what differs. What was acknowledged and still differs is not kept by the cluster: it is not said for
        ever.
        """
        patch = strategic_diff.patch_text({"metadata": {"uid": self.uid}, **changes})
        if not self._patch_request.is_due(now) or patch == self._last_patch:
            return []
        if not self._pace.take(now):
            self._patch_request.due = now + 1.0 / PATCH_RATE
            return []
        self._last_patch = patch
        return [self._patch_request.on_sent(PatchPod(namespace=self._namespace, name=self._name, patch=patch), now)]

    def _existence_check(self, now: float) -> list[LinkMessage]:
        """Ask whether the cluster still knows the pod: a patch that changes nothing."""
        if now < self._exists_check_at or not self._patch_request.is_due(now):
            return []
        patch = strategic_diff.patch_text({"metadata": {"uid": self.uid}})
        return [self._patch_request.on_sent(PatchPod(namespace=self._namespace, name=self._name, patch=patch), now)]

    def deletion_request(self) -> DeletePod:
        """Delete the pod object, if it still has our uid."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        return DeletePod(namespace=self._namespace, name=self._name, options=options)

    def _insert(self, now: float, node_uid: str) -> list[LinkMessage]:
        if not node_uid or not self._insert_request.is_due(now):
            return []  # the cloud takes no mirror that its Node does not own
        message = InsertPod(namespace=self._namespace, name=self._name, object=make_mirror_pod(self._raw, node_uid))
        return [self._insert_request.on_sent(message, now)]

    # --- listening --------------------------------------------------------------------------------------------------

    def on_response(self, parent: str, content: Any, now: float) -> bool:
        """Handle a response; False when it belongs to no request of this object."""
        if parent and self._patch_request.msg_id == parent:
            self._on_object_resp(self._patch_request, content, now)
        elif parent and self._insert_request.msg_id == parent:
            self._on_object_resp(self._insert_request, content, now)
        elif parent and self._delete_request.msg_id == parent:
            if content == OK:
                self._delete_request.on_success(INFINITY)  # what follows is the news that the object is gone
            else:
                self._delete_request.on_failure(now)
        else:
            return False
        return True

    def on_error(self, parent: str, now: float) -> bool:
        """A request could not be sent; False when it is no request of this object."""
        for thread in (self._patch_request, self._insert_request, self._delete_request):
            if parent and thread.msg_id == parent:
                thread.on_failure(now)
                self._last_patch = ""
                return True
        return False

    def _on_object_resp(self, thread: RequestSchedule, content: Any, now: float) -> None:
        pod, error = parse_object_resp(content)
        if error is None and pod:
            thread.on_success(0.0)
            self._exists_check_at = INFINITY
            self.on_pod(pod)
            return
        thread.on_failure(now)
        self._last_patch = ""
        if error is not None and error.get("reason") in ("NotFound", "Conflict") and thread is self._patch_request:
            self._gone = not self.static
            if self.static:
                self.on_mirror_deleted()


def _version(pod: Json) -> int:
    """The object's version as a number, which etcd's are; 0 when it is none."""
    text = str((pod.get("metadata") or {}).get("resourceVersion") or "")
    return int(text) if text.isdigit() else 0
