"""A task at its node: how far it has come, as it is kept over restarts, and what it says of itself. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kubeedge_actors.actors.taskmanager.action_flow import JOB_TYPES
from kubeedge_actors.actors.taskmanager.job_spec import JobSpec
from kubeedge_actors.actors.taskmanager.job_status import FALSE, MAX_TEXT, TRUE
from kubeedge_actors.kubernetes.time import format_time
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import NodeTask, NodeTaskReported

Json = dict[str, Any]

SOME_FAILED: Final = "there were some failures when pulling images"
NO_UPGRADE: Final = (
    "this node has no command by which it could upgrade itself: install the version there and start the edge anew"
)
NO_CONFIG: Final = (
    "this node has no command by which it could change its configuration: change its file there and start the edge anew"
)
MISSING: Final = {constants.NODEUPGRADEJOB: NO_UPGRADE, constants.CONFIGUPDATEJOB: NO_CONFIG}


class ImagePull(msgspec.Struct):
    """An image of a task. `attempts`: how often it was tried in vain; `status` is empty until it is there (True) or given up (False)."""

    image: str
    attempts: int = 0
    status: str = ""
    reason: str = ""


class TaskRun(msgspec.Struct):
    """A task, at the action that is to be done next. `spec`: that of its job."""

    job_type: str
    job: str
    spec: Json
    action: str
    images: list[ImagePull] = msgspec.field(default_factory=list)
    secret_waits: int = 0

    def next_image(self) -> ImagePull | None:
        """The first image that is neither there nor given up."""
        return next((pull for pull in self.images if not pull.status), None)

    def on_pulled(self, image: str) -> None:
        """It is there."""
        for pull in self._open(image):
            pull.status, pull.reason = TRUE, ""

    def on_pull_failed(self, image: str, reason: str, retries: int) -> None:
        """It could not be had; it is given up when that was the last of `retries` further attempts."""
        for pull in self._open(image):
            pull.attempts += 1
            pull.reason = reason[:MAX_TEXT]
            if pull.attempts > retries:
                pull.status = FALSE

    def _open(self, image: str) -> list[ImagePull]:
        return [pull for pull in self.images if pull.image == image and not pull.status]

    def image_report(self) -> tuple[str, str]:
        """Why the pull of the images has failed (empty: it has not), and what became of each, as the text for the cloud."""
        said = [
            {"image": pull.image, "status": pull.status} | ({"reason": pull.reason} if pull.reason else {})
            for pull in self.images
        ]
        failed = any(pull.status != TRUE for pull in self.images)
        return SOME_FAILED if failed else "", msgspec.json.encode(said).decode()


def new_run(task: NodeTask, spec: JobSpec) -> TaskRun:
    """The run of a task, at its first action."""
    first = JOB_TYPES[task.job_type].actions[0]
    images = [ImagePull(image) for image in dict.fromkeys(spec.images)]
    return TaskRun(task.job_type, task.job, dict(task.content), first, images)


def report(
    *, job_type: str, job: str, node: str, action: str, reason: str, now: float, extend: str = ""
) -> NodeTaskReported:
    """How an action has ended: well, if there is no reason why not. `now`: epoch seconds."""
    content = {"action": action, "succ": not reason, "finishTime": format_time(now)}
    content |= {"reason": reason[:MAX_TEXT], "extend": extend}
    return NodeTaskReported(job_type=job_type, job=job, task_node=node, content=content)
