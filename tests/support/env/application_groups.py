"""What the tests of NodeGroupController and EdgeApplicationController share: an API in memory with both at work on it."""

from __future__ import annotations

import copy
from typing import Any

from kubeedge_actors.actors.edgeapplication.controller import EdgeApplicationController
from kubeedge_actors.actors.nodegroup.controller import NodeGroupController
from kubeedge_actors.drivers.cluster.base import Json
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.kubernetes.object_types import (
    DEPLOYMENT_KIND,
    EDGEAPPLICATION_KIND,
    NODE_KIND,
    NODEGROUP_KIND,
)
from kubeedge_actors.testing import Harness, inline

WITH_STATUS = ("deployments", "nodegroups", "edgeapplications")


class ApplicationGroupsEnv:
    """An API, both controllers at work on it, and a clock that all share."""

    def __init__(self) -> None:
        self.harness: Harness = inline(
            NodeGroupController.spec(lambda: NodeGroupController(self.api, random=lambda: 0.5)),
            EdgeApplicationController.spec(lambda: EdgeApplicationController(self.api, random=lambda: 0.5)),
            contain=True,
        )
        self.api = FakeCluster(self.harness.clock.now, with_status=WITH_STATUS)
        self.harness.run()

    def settle(self, seconds: float = 1.0) -> None:
        """What follows from the last change."""
        self.harness.advance(seconds)

    # --- groups -------------------------------------------------------------------------------------------------------

    def group(self, name: str, **spec: Any) -> None:
        self.api.create(NODEGROUP_KIND, "", {"metadata": {"name": name}, "spec": spec})
        self.settle(2)

    def change_group(self, name: str, **spec: Any) -> None:
        self.api.patch(NODEGROUP_KIND, "", name, {"spec": spec})
        self.settle(2)

    def labels(self, node: str) -> Json:
        return dict(self.api.get(NODE_KIND, "", node)["metadata"].get("labels") or {})

    def members(self, group: str) -> dict[str, str]:
        """Node -> `selectionStatus`, with the reason behind it."""
        found = self.api.peek(NODEGROUP_KIND, "", group)
        assert found is not None
        statuses = found.get("status", {}).get("nodeStatuses") or ()
        return {
            each["nodeName"]: " ".join(filter(None, (each["selectionStatus"], each.get("selectionStatusReason"))))
            for each in statuses
        }

    # --- applications -------------------------------------------------------------------------------------------------

    def application(self, *manifests: Any, targets: tuple[Json, ...] = (), name: str = "shop") -> Json:
        made = self.api.create(EDGEAPPLICATION_KIND, "default", application(*manifests, targets=targets, name=name))
        self.settle()
        return made

    def change(self, *manifests: Any, targets: tuple[Json, ...] = (), name: str = "shop") -> None:
        spec = application(*manifests, targets=targets, name=name)["spec"]
        self.api.patch(EDGEAPPLICATION_KIND, "default", name, {"spec": spec})
        self.settle()

    def deployments(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.api.peek_all(DEPLOYMENT_KIND)]

    def image(self, deployment: str) -> str:
        found = self.api.get(DEPLOYMENT_KIND, "default", deployment)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    def status(self, name: str = "shop") -> dict[str, str]:
        """Kind and name of each object (or the number of its manifest) -> its condition."""
        entries = self.api.get(EDGEAPPLICATION_KIND, "default", name)["status"].get("workloadStatus") or ()
        return {_named(entry["identifier"]): entry["conditions"] for entry in entries}

    def roll_out(self) -> None:
        """All Deployments become what they are to be."""
        for each in self.api.peek_all(DEPLOYMENT_KIND):
            replicas = each["spec"].get("replicas", 1)
            status = {"observedGeneration": each["metadata"].get("generation", 0)}
            status |= {"readyReplicas": replicas, "updatedReplicas": replicas}
            self.api.patch(
                DEPLOYMENT_KIND, "default", each["metadata"]["name"], {"status": status}, subresource="status"
            )
        self.settle()


def _named(identifier: Json) -> str:
    text = f"{identifier.get('kind', '')} {identifier.get('name', '')}".strip()
    return text or str(identifier["ordinal"])


def application(*manifests: Any, targets: tuple[Json, ...] = (), name: str = "shop") -> Json:
    """An EdgeApplication."""
    scope = {"targetNodeGroups": list(copy.deepcopy(targets))}
    spec = {"workloadTemplate": {"manifests": list(copy.deepcopy(manifests))}, "workloadScope": scope}
    return {"metadata": {"name": name}, "spec": spec}


def to_group(group: str, **overriders: Any) -> Json:
    """A target."""
    return {"name": group, "overriders": overriders} if overriders else {"name": group}


def deployment(name: str = "web", image: str = "nginx:1.25", **container: Any) -> Json:
    """A manifest with one container `main`."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": image, **container}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def config_map(name: str = "settings", **data: str) -> Json:
    """A manifest."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
