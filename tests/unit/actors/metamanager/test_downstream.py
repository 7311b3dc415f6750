"""MetaManager: what the cloud pushes is stored, told, acknowledged, in this order and once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.metamanager import MetaManager
from kubeedge_actors.drivers.store.base import MetaChanges, MetaRow, Store
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.errors import StoreError
from kubeedge_actors.testing import Harness, InjectedCrash, Probe, inline
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import (
    DeviceChanged,
    ErrorResponse,
    ListPods,
    ObjectPushed,
    PodChanged,
    PodConfigChanged,
    QueryObject,
    Response,
)


def pod(uid: str = "u1", version: int = 1, name: str = "shop", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": str(version)}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, **more}


def push(
    operation: str, content: dict[str, Any], *, type: str = "pod", name: str = "shop", **more: Any
) -> ObjectPushed:
    version = str(content.get("metadata", {}).get("resourceVersion", ""))
    return ObjectPushed(
        operation=operation, type=type, namespace="default", name=name, object=content, resource_version=version, **more
    )


class MetaManagerEnv:
    """MetaManager with recorders of those around it."""

    def __init__(self, store: Store, *, contain: bool = False, cloud: bool = True) -> None:
        self.store = store
        spec = MetaManager.spec(lambda: MetaManager(store.meta, has_cloud=cloud))
        self.harness: Harness = inline(spec, contain=contain)
        self.edgehub: Probe = self.harness.probe(constants.EDGEHUB)
        self.edged: Probe = self.harness.probe(constants.EDGED, PodChanged)
        self.devicetwin: Probe = self.harness.probe(constants.DEVICETWIN, DeviceChanged)
        self.changed: Probe = self.harness.probe(PodConfigChanged)

    def tell(self, *messages: Any) -> None:
        for message in messages:
            self.harness.ref(constants.METAMANAGER).tell(message)
        self.harness.run()

    def value(self, key: str) -> str | None:
        row = self.store.meta.get(key)
        return row.value if row else None


@pytest.fixture(params=["memory", "sqlite"])
def env(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MetaManagerEnv]:
    store: Store = FakeStore() if request.param == "memory" else SqliteStore(tmp_path / "edge.db")
    made = MetaManagerEnv(store)
    yield made
    made.harness.stop()
    store.close()


def test_a_pushed_pod_is_stored_told_and_acknowledged(env: MetaManagerEnv) -> None:
    pushed = push("insert", pod())
    env.tell(pushed)
    assert msgspec.json.decode(env.value("default/pod/shop") or "") == pod()
    assert env.edged.only() == PodChanged(operation="insert", object=pod())
    ack = env.edgehub.only()
    assert (ack.parent_msg_id, ack.content, ack.source, ack.group, ack.resource) == (
        pushed.msg_id,
        "OK",
        "edgecontroller",
        "resource",
        "default/pod/shop",
    )


def test_nothing_is_told_or_acknowledged_before_it_is_stored() -> None:
    order: list[str] = []

    class Store(FakeStore):
        def __init__(self) -> None:
            super().__init__()
            apply = self.meta.apply

            def recorded(changes: MetaChanges) -> None:
                apply(changes)
                order.append("stored")

            self.meta.apply = recorded  # type: ignore[method-assign]

    env = MetaManagerEnv(Store())
    env.edged.answer = lambda message: order.append("told")
    env.edgehub.answer = lambda message: order.append("acknowledged")
    env.tell(push("insert", pod()))
    assert order == ["stored", "told", "acknowledged"]


def test_many_pushes_are_one_transaction() -> None:
    store, transactions = FakeStore(), list[int]()
    apply = store.meta.apply

    def counted(changes: MetaChanges) -> None:
        transactions.append(len(changes.put))
        apply(changes)

    store.meta.apply = counted  # type: ignore[method-assign]
    env = MetaManagerEnv(store)
    env.tell(*(push("insert", pod(f"u{n}", 1, f"p{n}"), name=f"p{n}") for n in range(200)))
    assert sum(transactions) == 200
    assert len(transactions) < 5
    assert len(env.edgehub) == 200
    assert [change.object["metadata"]["name"] for change in env.edged] == [f"p{n}" for n in range(200)]


def test_what_the_cloud_says_again_is_acknowledged_again_and_not_told_again(env: MetaManagerEnv) -> None:
    pushed = push("insert", pod())
    env.tell(pushed, pushed)
    env.tell(pushed)
    assert len(env.edged) == 1
    assert [ack.parent_msg_id for ack in env.edgehub] == [pushed.msg_id] * 3


def test_what_a_newer_push_has_overtaken_is_acknowledged_and_not_stored(env: MetaManagerEnv) -> None:
    env.tell(push("update", pod(version=9)), push("update", pod(version=8)))
    assert msgspec.json.decode(env.value("default/pod/shop") or "") == pod(version=9)
    assert len(env.edged) == 1
    assert len(env.edgehub) == 2


def test_an_object_without_a_version_is_told_each_time(env: MetaManagerEnv) -> None:
    env.tell(push("update", {"metadata": {"uid": "u"}}), push("update", {"metadata": {"uid": "u"}}))
    assert len(env.edged) == 2


def test_a_deleted_pod_goes_with_its_patch(env: MetaManagerEnv) -> None:
    env.store.meta.put([MetaRow("default/podpatch/shop", "podpatch", "{}")])
    env.tell(push("insert", pod()), push("delete", pod(version=5)))
    assert env.value("default/pod/shop") is None
    assert env.value("default/podpatch/shop") is None
    assert [change.operation for change in env.edged] == ["insert", "delete"]
    assert len(env.edgehub) == 2


def test_a_deletion_by_a_stub_removes_the_object_from_the_read_api_too(env: MetaManagerEnv) -> None:
    env.tell(push("insert", pod()))
    assert env.store.meta.object("/core/v1/pods/default/shop") is not None
    env.tell(push("delete", {"metadata": {"name": "shop", "namespace": "default", "uid": "u1"}}))
    assert env.store.meta.object("/core/v1/pods/default/shop") is None
    assert env.value("default/pod/shop") is None


def test_a_deletion_of_another_pod_of_that_name_leaves_the_row(env: MetaManagerEnv) -> None:
    env.tell(push("insert", pod("new")), push("delete", pod("old")))
    assert env.value("default/pod/shop") is not None
    assert env.edged.received[-1].object["metadata"]["uid"] == "old"
    assert len(env.edgehub) == 2


@pytest.mark.parametrize("type", ["configmap", "secret", "device"])
def test_a_deletion_of_another_object_of_that_name_is_acknowledged_and_nothing_more(
    env: MetaManagerEnv, type: str
) -> None:
    env.tell(push("insert", {"metadata": {"uid": "new"}}, type=type))
    notified = len(env.devicetwin) + len(env.changed)
    env.tell(push("delete", {"metadata": {"uid": "old"}}, type=type))
    assert env.value(f"default/{type}/shop") == '{"metadata":{"uid":"new"}}'
    assert len(env.devicetwin) + len(env.changed) == notified
    assert len(env.edgehub) == 2


@pytest.mark.parametrize("stub", [{"metadata": {}}, {"metadata": {"uid": "u"}}])
def test_a_deletion_that_names_no_other_object_deletes(env: MetaManagerEnv, stub: dict[str, Any]) -> None:
    env.tell(push("insert", {"metadata": {"uid": "u"}}, type="configmap"), push("delete", stub, type="configmap"))
    assert env.value("default/configmap/shop") is None


def test_what_pods_may_refer_to_is_told_when_it_comes_and_when_it_goes(env: MetaManagerEnv) -> None:
    content = {"metadata": {"uid": "u"}}
    for operation in ("insert", "update", "delete"):
        env.tell(push(operation, content, type="secret"))
    env.tell(push("insert", content, type="persistentvolume"))
    assert [(change.operation, change.type, change.namespace, change.name) for change in env.changed] == [
        (operation, "secret", "default", "shop") for operation in ("insert", "update", "delete")
    ]


def test_what_was_deleted_does_not_come_back_by_an_old_push(env: MetaManagerEnv) -> None:
    env.tell(
        push("insert", pod(version=3)), push("delete", {"metadata": {"uid": "u1"}}), push("update", pod(version=3))
    )
    assert env.value("default/pod/shop") is None
    assert [change.operation for change in env.edged] == ["insert", "delete"]
    assert len(env.edgehub) == 3


def test_a_deletion_said_again_is_acknowledged_again_and_not_told_again(env: MetaManagerEnv) -> None:
    deleted = push("delete", pod())
    env.tell(push("insert", pod()), deleted, deleted)
    assert len(env.edged) == 2
    assert len(env.edgehub) == 3


def test_a_pod_of_the_same_name_may_come_after_a_deletion(env: MetaManagerEnv) -> None:
    env.tell(push("insert", pod("u1", 3)), push("delete", pod("u1", 4)), push("insert", pod("u2", 5)))
    assert '"u2"' in (env.value("default/pod/shop") or "")
    assert [change.operation for change in env.edged] == ["insert", "delete", "insert"]


@pytest.mark.parametrize("type", ["device", "devicemodel"])
@pytest.mark.parametrize(
    ("operation", "source", "group"),
    [("insert", "meta", "twin"), ("update", "devicecontroller", "resource"), ("delete", "meta", "twin")],
)
def test_devices_go_to_the_device_twin_and_have_their_own_acknowledgement(
    env: MetaManagerEnv, type: str, operation: str, source: str, group: str
) -> None:
    content = {"metadata": {"uid": "d", "resourceVersion": "1"}}
    env.tell(push(operation, content, type=type, name="lamp", source="devicecontroller"))
    assert env.devicetwin.only() == DeviceChanged(operation=operation, type=type, object=content)
    ack = env.edgehub.only()
    assert (ack.source, ack.group) == (source, group)
    assert len(env.edged) == 0


def test_a_device_that_the_sync_controller_repeats_goes_to_the_device_twin_too(env: MetaManagerEnv) -> None:
    env.tell(push("update", {"metadata": {"uid": "d"}}, type="device", name="lamp"))
    assert env.devicetwin.only().type == "device"
    assert env.edgehub.only().source == "edgecontroller"


@pytest.mark.parametrize(("type", "source"), [("node", "edgecontroller"), ("configmap", "edgecontroller")])
def test_what_nobody_has_to_hear_of_is_only_stored(env: MetaManagerEnv, type: str, source: str) -> None:
    env.tell(push("update", {"metadata": {"uid": "x"}}, type=type, source=source))
    assert env.value(f"default/{type}/shop")
    assert len(env.edged) == 0
    assert len(env.edgehub) == 1


def test_policies_are_stored_and_acknowledged_only(env: MetaManagerEnv) -> None:
    env.tell(push("insert", pod(), type="pod", source="policycontroller"))
    assert len(env.edged) == 0
    assert len(env.edgehub) == 1


def test_an_update_of_an_unknown_source_is_stored_but_not_acknowledged(env: MetaManagerEnv) -> None:
    env.tell(push("update", pod(), source="somebody"))
    assert env.value("default/pod/shop")
    assert len(env.edged) == 0
    assert len(env.edgehub) == 0
    env.tell(push("insert", pod("u2"), source="somebody"))
    assert len(env.edgehub) == 1


def test_content_that_came_as_text_is_stored_as_it_came(env: MetaManagerEnv) -> None:
    text = '{"metadata":{"uid":"x"},  "data":{}}'
    quoted = msgspec.json.encode(text).decode()
    frame = (
        '{"header":{"msg_id":"m"},"route":{"source":"edgecontroller","group":"resource","operation":"insert",'
        f'"resource":"default/configmap/shop"}},"content":{quoted}}}'
    )
    env.tell(mapping.from_beehive(beehive.decode(frame)))
    assert env.value("default/configmap/shop") == text


def test_objects_that_say_what_they_are_fill_the_read_api(env: MetaManagerEnv) -> None:
    env.tell(push("insert", pod(version=7)), push("insert", {"metadata": {"uid": "x"}}, type="configmap"))
    (row,) = env.store.meta.objects("/v1, Resource=pods")
    assert (row.key, row.namespace, row.name, row.resource_version) == (
        "/core/v1/pods/default/shop",
        "default",
        "shop",
        7,
    )


def test_a_store_that_refuses_is_an_error_answer_and_nothing_is_told() -> None:
    store = FakeStore()
    env = MetaManagerEnv(store)
    env.harness.run()
    env.tell(push("insert", pod()))
    store.failure = StoreError("the disk is full")
    pushed = push("update", pod(version=2))
    env.tell(pushed)
    refusal = env.edgehub.received[-1]
    assert isinstance(refusal, ErrorResponse)
    assert (refusal.parent_msg_id, refusal.resource, refusal.source) == (
        pushed.msg_id,
        "default/pod/shop",
        "metamanager",
    )
    assert len(env.edged) == 1
    store.failure = None
    env.tell(pushed)
    assert len(env.edged) == 2
    assert isinstance(env.edgehub.received[-1], Response)


def test_after_a_crash_between_storing_and_telling_it_is_told() -> None:
    store = FakeStore()
    env = MetaManagerEnv(store, contain=True)
    apply = store.meta.apply

    def crash_once(changes: MetaChanges) -> None:
        apply(changes)
        store.meta.apply = apply  # type: ignore[method-assign]
        raise InjectedCrash("after the commit")

    store.meta.apply = crash_once  # type: ignore[method-assign]
    env.tell(push("insert", pod()))
    env.harness.advance(10.0)
    assert len(env.edged.of(PodChanged)) == 1
    assert len(env.edgehub.of(Response)) == 1


def test_the_pods_of_the_node_are_listed_without_errors_stored_in_their_place(env: MetaManagerEnv) -> None:
    env.tell(push("insert", pod("u1", 1, "a"), name="a"), push("insert", pod("u2", 1, "b"), name="b"))
    error = MetaRow("default/pod/c", "pod", '{"ErrStatus":{"code":404}}')
    env.store.meta.put([error, MetaRow("default/pod/d", "pod", "no JSON")])
    assert env.harness.ask(constants.METAMANAGER, ListPods()) == [pod("u1", 1, "a"), pod("u2", 1, "b")]


@pytest.mark.parametrize(
    "wrong",
    [
        pod() | {"spec": {"containers": [{"name": ["c"]}]}},
        pod() | {"spec": 5},
        pod(name="../../planted"),
        pod() | {"metadata": {"name": "shop", "namespace": "../x", "uid": "u1"}},
        pod() | {"metadata": {"name": "shop", "uid": {}}},
    ],
)
def test_a_push_that_contradicts_its_path_or_its_type_is_refused_and_not_stored(
    env: MetaManagerEnv, wrong: dict[str, Any]
) -> None:
    env.tell(push(constants.INSERT, wrong, msg_id="1", source=constants.EDGECONTROLLER))
    assert [type(said) for said in env.edgehub.received] == [ErrorResponse]
    assert env.value("default/pod/shop") is None and env.edged.received == []


def test_a_question_about_an_impossible_name_is_answered_with_an_error(env: MetaManagerEnv) -> None:
    env.tell(QueryObject(msg_id="1", type="configmap", namespace="default", name="../x"))
    assert [(type(said), said.parent_msg_id) for said in env.edged.received] == [(ErrorResponse, "1")]


def test_what_a_program_watches_is_stored_for_it_alone() -> None:
    env = MetaManagerEnv(FakeStore())
    watched = {"source": constants.SOURCE_DYNAMICCONTROLLER}
    env.tell(push("insert", pod(version=5), **watched), push("update", pod(version=4), **watched))
    assert env.store.meta.get("default/pod/shop") is None
    row = env.store.meta.object("/core/v1/pods/default/shop")
    assert row is not None
    assert row.resource_version == 5
    assert list(env.edged) == []
    assert [type(said) for said in env.edgehub.take()] == [Response, Response]
    env.tell(push("insert", pod(version=5)))  # the node's own pod all the same, although MetaServer knew it
    assert len(env.edged.of(PodChanged)) == 1
    env.tell(push("delete", pod(uid="another", version=6), **watched))
    assert env.store.meta.object("/core/v1/pods/default/shop") is not None
    env.tell(push("delete", pod(version=7), **watched))
    assert env.store.meta.object("/core/v1/pods/default/shop") is None
    assert env.store.meta.get("default/pod/shop") is not None
