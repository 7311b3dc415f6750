"""Modules of the cloud: they hear of objects and nodes at their own pace, and call the API without waiting."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from kubeedge_actors.actors.cloudmodules import api_client
from kubeedge_actors.actors.cloudmodules.object_watcher import RETRY_SECONDS, ObjectWatcher, event_listener
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.cluster.kubernetes import error_of
from kubeedge_actors.errors import ClusterError, Forbidden, NotFound, RegistrationError, Unreachable
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec
from kubeedge_actors.testing import Harness, inline
from kubeedge_actors.wire.messages import (
    NodeConnected,
    NodeDisconnected,
    ObjectChanged,
    SessionClosed,
    SessionOpened,
)


class Watching(Module):
    """Hears of config maps, and crashes over one called so."""

    name = "watching"
    watches = ("v1/configmaps",)

    def on_start(self) -> None:
        """It knows nothing yet."""
        self.heard: list[str] = []

    @on
    def on_object_changed(self, message: ObjectChanged) -> None:
        """Keep what it is about."""
        name = message.object["metadata"]["name"]
        if name == "poison":
            raise ValueError("not this one")
        self.heard.append(f"{message.operation} {name}")


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


class Cloud:
    """ObjectWatcher and ApiClient over an API in memory, with a module."""

    def __init__(self, spec: ChildSpec, *names: str) -> None:
        self.api = FakeCluster()
        for name in names:
            self.create(name)
        self.harness: Harness = inline(spec, *api_client.child_specs(self.api), contain=True)
        system = self.harness._system
        system.events.subscribe(event_listener(system.registry))
        self.harness._specs.append(ObjectWatcher.spec_for(self.api, system.registry))
        self.harness.run()

    def create(self, name: str, **data: str) -> None:
        self.api.create(CONFIGMAP_KIND, "default", config_map(name, **data))

    def settle(self) -> None:
        """Let retries and restarts come due."""
        for _ in range(20):
            self.harness.advance(RETRY_SECONDS)


@pytest.fixture
def clouds() -> Iterator[list[Cloud]]:
    made: list[Cloud] = []
    yield made
    for cloud in made:
        cloud.harness.stop()


def test_a_module_hears_of_what_is_there_and_of_what_changes(clouds: list[Cloud]) -> None:
    module = Watching()
    cloud = Cloud(Watching.spec(lambda: module), "a")
    clouds.append(cloud)
    assert module.heard == ["insert a"]
    cloud.create("b")
    cloud.api.patch(CONFIGMAP_KIND, "default", "a", {"data": {"x": "1"}})
    cloud.api.delete(CONFIGMAP_KIND, "default", "b")
    cloud.harness.run()
    assert [each for each in module.heard if each.endswith(" a")] == ["insert a", "update a"]
    assert "update b" not in module.heard


def test_after_a_crash_it_hears_of_all_again(clouds: list[Cloud]) -> None:
    module = Watching()
    cloud = Cloud(Watching.spec(lambda: module), "a", "b")
    clouds.append(cloud)
    cloud.harness.crash("watching")
    cloud.settle()
    assert sorted(module.heard) == ["insert a", "insert b"]


def test_what_a_full_mailbox_dropped_is_told_again(clouds: list[Cloud]) -> None:
    module = Watching()
    names = [f"c{number}" for number in range(30)]
    cloud = Cloud(Watching.spec(lambda: module, mailbox=MailboxSpec(capacity=3)), *names)
    clouds.append(cloud)
    cloud.settle()
    assert {each.removeprefix("insert ") for each in module.heard} == set(names)
    assert not [each for each in cloud.harness.dead_letters if "ObjectChanged" not in type(each.message).__name__]


def test_an_object_that_it_can_not_stand_is_told_three_times_and_the_others_arrive(clouds: list[Cloud]) -> None:
    module = Watching()
    cloud = Cloud(Watching.spec(lambda: module), "a", "poison", "z")
    clouds.append(cloud)
    cloud.settle()
    assert {"insert a", "insert z"} <= set(module.heard)
    assert len(cloud.harness.crashes) == 3
    cloud.create("later")
    cloud.settle()
    assert "insert later" in module.heard


def test_a_module_that_is_removed_is_told_nothing_more(clouds: list[Cloud]) -> None:
    cloud = Cloud(Watching.spec(), "a")
    clouds.append(cloud)
    cloud.harness.system.remove("watching")
    cloud.create("b")
    cloud.settle()
    assert cloud.harness.dead_letters == []


def test_a_module_hears_who_connects_and_who_disconnects() -> None:
    with inline(ObjectWatcher.spec_for(FakeCluster(), Harness(())._system.registry)) as harness:
        harness.publish(SessionOpened(node="n1"))
        assert harness.dead_letters == []  # nobody wants to know, and that is no loss
    harness = inline()
    harness._specs.append(ObjectWatcher.spec_for(FakeCluster(), harness._system.registry))
    with harness:
        nodes = harness.probe(NodeConnected, NodeDisconnected)
        harness.publish(SessionOpened(node="n1"))
        harness.publish(SessionClosed(node="n1", reason="no heart-beat"))
        assert nodes.take() == [NodeConnected(node="n1"), NodeDisconnected(node="n1", reason="no heart-beat")]


class Calling(Module):
    """Makes a call and keeps what came of it."""

    name = "calling"
    watches = ("v1/configmaps",)
    uses = ("v1/nodes",)

    def __init__(self) -> None:
        self.answers: list[Any] = []

    @on
    def on_question(self, message: tuple) -> None:  # type: ignore[type-arg]
        """Ask."""
        method, *arguments = message
        getattr(self.client, method)(*arguments).then(self.answers.append, self.answers.append)


def answer(clouds: list[Cloud], *call: Any) -> Any:
    module = Calling()
    clouds.append(Cloud(Calling.spec(lambda: module), "a"))
    clouds[-1].harness.tell("calling", call)
    return module.answers[0] if module.answers else clouds[-1].harness.crashes[0].error


def test_the_client_answers_with_objects(clouds: list[Cloud]) -> None:
    assert answer(clouds, "get", "v1/configmaps", "default", "a")["metadata"]["name"] == "a"
    assert [each["metadata"]["name"] for each in answer(clouds, "list", "v1/configmaps", "default")] == ["a"]
    patched = answer(clouds, "patch", "v1/configmaps", "default", "a", {"data": {"x": "1"}})
    assert patched["data"] == {"x": "1"}


def test_the_clients_errors_have_types(clouds: list[Cloud]) -> None:
    assert isinstance(answer(clouds, "get", "v1/configmaps", "default", "missing"), NotFound)
    assert isinstance(answer(clouds, "get", "v1/nodes", "", "missing"), NotFound)
    assert type(error_of(403, {"message": "no"})) is Forbidden


@pytest.mark.parametrize(
    "error", [NotFound({"message": "m", "code": 404}), Unreachable("away"), ClusterError({"code": 500})]
)
def test_an_error_of_the_api_reaches_a_module_in_another_process(error: ClusterError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code) == (type(error), str(error), error.code)


def test_what_is_not_declared_or_not_whole_is_one_sentence_at_the_caller(clouds: list[Cloud]) -> None:
    error = answer(clouds, "get", "v1/secrets", "default", "a")
    assert error == (
        "UsageError: the type 'v1/secrets' is not declared in `watches` or `uses` of the module; declared: v1/configmaps, v1/nodes"
    )
    assert "apply takes a whole object, with metadata.name" in answer(clouds, "apply", "v1/configmaps", {"data": {}})


def test_the_client_of_a_node_says_that_there_is_none() -> None:
    with inline(Calling, contain=True) as harness:
        harness.tell("calling", ("get", "v1/nodes", "", "n1"))
        assert harness.crashes[0].error == "UsageError: the client is for the modules of the cloud"


@pytest.mark.parametrize("wrong", ["v1/configmaps", ("configmaps",), (5,), ("a/b/c/d",)])
def test_a_wrong_declaration_is_refused_at_registration(wrong: Any) -> None:
    module: Any = type("Wrong", (Module,), {"name": "wrong", "watches": wrong})
    with pytest.raises(RegistrationError, match=r"Wrong\.watches has to be a tuple of texts"):
        module.spec()


def test_apply_goes_to_the_api_as_server_side_apply(monkeypatch: pytest.MonkeyPatch, clouds: list[Cloud]) -> None:
    seen: list[Any] = []

    def patch(*arguments: Any, **more: Any) -> Any:
        seen.append((*arguments[1:], more))
        return {}

    module = Calling()
    cloud = Cloud(Calling.spec(lambda: module))
    clouds.append(cloud)
    monkeypatch.setattr(cloud.api, "patch", lambda *arguments, **more: patch(cloud.api, *arguments, **more))
    cloud.harness.tell("calling", ("apply", "v1/configmaps", config_map("new")))
    assert seen == [(CONFIGMAP_KIND, "default", "new", config_map("new"), {"form": "apply"})]
    assert module.answers == [{}]
