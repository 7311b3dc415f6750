"""What the pods of a node have in common while they are synced."""

from __future__ import annotations

from kubeedge_actors.actors.edged.runtime.container_spec import NodeContext
from kubeedge_actors.drivers.containers.base import FULL_SUPPORT

NOT_YET = "it has not answered yet"


class SharedSyncState:
    """State that is common to all pods.

    * `ready`: pods and containers are both known.
    * `runtime_error`: why no engine answers, else empty.
    * `cloud_is_native`: the last cloud that was there is one of ours.
    * `events_to_any_cloud`: Events are told to others too.
    * `limits`: which limits of a container the runtime holds.
    * `node_uid`: of the Node, once it is known; mirrors of static pods name it as their owner.
    * `runtime_version`: name and version of the engine, once it has answered.
    """

    def __init__(
        self, node: NodeContext, *, link_up: bool, cloud_is_native: bool = False, events_to_any_cloud: bool = False
    ) -> None:
        self.node = node
        self.link_up = link_up
        self.cloud_is_native, self.events_to_any_cloud = cloud_is_native, events_to_any_cloud
        self.ready = False
        self.runtime_error = NOT_YET
        self.runtime_version = ""
        self.limits = FULL_SUPPORT
        self.node_uid = ""

    @property
    def asks_for_services(self) -> bool:
        """Whether to ask for the Services of a namespace: a genuine cloud does not know the question; without a link the node's own
        store answers.
        """
        return self.cloud_is_native or not self.link_up
