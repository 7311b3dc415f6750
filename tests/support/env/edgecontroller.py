"""An EdgeController with its workers on an API in memory, and what it says."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.edgecontroller.controller import child_specs
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.testing import Harness, inline
from kubeedge_actors.wire.messages import LinkMessage, NodeRemoved, ObjectPushed, ObjectVersionDelivered, Response

ADDRESS = "192.0.2.9"


class EdgeControllerEnv:
    """`hub` got everything that is for nodes, `seen` what SyncController is told."""

    def __init__(self, api: FakeCluster | None = None, *, contain: bool = False) -> None:
        self.api = api or FakeCluster()
        self.harness: Harness = inline(*child_specs(self.api, ADDRESS, workers=2, lease_workers=1), contain=contain)
        self.hub = self.harness.probe(Response, ObjectPushed, NodeRemoved)
        self.seen = self.harness.probe(ObjectVersionDelivered)
        self.harness.run()
        self.hub.take()

    def pushed(self, *, echo: bool = False) -> list[tuple[str, str, str, str]]:
        """Node, operation, type and name of what was pushed since the last look: news, or `echo`es."""
        self.harness.run()
        pushes = [m for m in self.hub.take() if isinstance(m, ObjectPushed)]
        return [(m.node, m.operation, m.type, m.name) for m in pushes if m.status_only is echo]

    def ask(self, request: LinkMessage) -> list[Any]:
        """Say it as CloudHub does; what came back."""
        self.harness.run()
        self.hub.take()
        self.harness.publish(request)
        return [message for message in self.hub.take() if isinstance(message, Response)]

    def answer(self, request: LinkMessage) -> Response:
        """The one answer to a request."""
        answers: list[Response] = self.ask(request)
        assert [response.parent_msg_id for response in answers] == [request.msg_id]
        assert answers[0].node == request.node
        return answers[0]
