"""The messages of node tasks (`operations.kubeedge.io`), which cross the link. Import from messages.py.

Both name the job by type and name, and the node; which job of that name it is, the original does not say.
"""

from __future__ import annotations

from kubeedge_actors.wire.link_messages import LinkMessage
from kubeedge_actors.wire.local_messages import Json


class NodeTask(LinkMessage, frozen=True, kw_only=True):
    """Do what a node job wants of a node, from the action Check on. `job_type` is imageprepulljob, nodeupgradejob or configupdatejob;
    `content` the job's spec, `task_node` the node.
    """

    job_type: str
    job: str
    task_node: str
    content: Json


class NodeTaskReported(LinkMessage, frozen=True, kw_only=True):
    """An action of a node task has ended: {"action","succ","finishTime","reason","extend"}.

    `finishTime` is RFC 3339 by the node's clock. `extend` is text of the action's own: of Pull the JSON of what became of each image, of
    an upgrade the versions before and after it.
    """

    job_type: str
    job: str
    task_node: str
    content: Json
