"""MetaManager: what edged asks, answered by the cloud or by the store in its place."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import pytest

from kubeedge_actors.drivers.store.base import MetaRow
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.errors import StoreError
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeletePod,
    ErrorResponse,
    InsertPod,
    LinkDown,
    LinkMessage,
    ObjectPushed,
    PatchNode,
    PatchPod,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    RequestCertificate,
    RequestToken,
    Response,
    UpdateNode,
    WriteLease,
)
from tests.unit.actors.metamanager.test_downstream import MetaManagerEnv, pod

CONFIG = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "shop", "namespace": "default", "uid": "c"}}
ERROR = {"ErrStatus": {"metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404}}
QUERY = QueryObject(type="configmap", namespace="default", name="shop")
REGISTER = RegisterNode(name="edge-1", object={"metadata": {"name": "edge-1"}})
LEASE_KEY = "kube-node-lease/lease/edge-1"
CALLS = [
    REGISTER,
    QueryLease(name="edge-1"),
    WriteLease(operation="update", name="edge-1", object={}),
    InsertPod(namespace="default", name="mirror", object={}),
    RequestCertificate(name="csr", object={}),
    QUERY,
    RequestToken(namespace="default", name="shop-sa", object={"spec": {}}),
]


@pytest.fixture
def env() -> MetaManagerEnv:
    return MetaManagerEnv(FakeStore())


def sent(env: MetaManagerEnv) -> Any:
    """The one message that went up."""
    (message,) = env.edgehub.take()
    return message


def answer(
    env: MetaManagerEnv, question: LinkMessage, content: Any, resource: str = "default/configmap/shop"
) -> Response:
    """Let the cloud answer."""
    answered = Response(parent_msg_id=question.msg_id, resource=resource, content=content)
    env.tell(answered)
    return answered


def told(env: MetaManagerEnv) -> Any:
    """The one message that edged got."""
    (message,) = env.edged.take()
    return message


@pytest.mark.parametrize("question", CALLS, ids=lambda question: type(question).__name__)
def test_a_question_goes_up_under_its_own_id_and_its_answer_comes_back_under_that_of_edged(
    env: MetaManagerEnv, question: LinkMessage
) -> None:
    env.tell(question)
    query = sent(env)
    assert type(query) is type(question)
    assert query.msg_id != question.msg_id
    answered = answer(env, query, {"metadata": {"uid": "x"}}, "some/resource/path")
    passed = told(env)
    assert (passed.parent_msg_id, passed.content) == (question.msg_id, answered.content)
    ack = sent(env)
    assert (ack.parent_msg_id, ack.content, ack.resource) == (answered.msg_id, "OK", "some/resource/path")


def test_an_object_in_an_answer_is_stored(env: MetaManagerEnv) -> None:
    env.tell(QUERY)
    answer(env, sent(env), CONFIG)
    assert msgspec.json.decode(env.value("default/configmap/shop") or "") == CONFIG
    assert env.store.meta.object("/core/v1/configmaps/default/shop") is not None


def test_of_an_answer_with_object_and_error_the_object_is_stored_and_all_of_it_passed_on(env: MetaManagerEnv) -> None:
    env.tell(REGISTER)
    content = {"Object": {"metadata": {"name": "edge-1"}}, "Err": None}
    answer(env, sent(env), content, "null/node/edge-1")
    assert told(env).content == content
    assert msgspec.json.decode(env.value("null/node/edge-1") or "") == content["Object"]


@pytest.mark.parametrize(
    "content", [ERROR, {"Object": {"metadata": {}}, "Err": ERROR}, {"Object": None, "Err": ERROR}, "OK", None]
)
def test_an_error_is_passed_on_and_acknowledged_and_never_stored(env: MetaManagerEnv, content: Any) -> None:
    env.tell(QUERY)
    answer(env, sent(env), content)
    assert told(env).content == content
    assert sent(env).content == "OK"
    assert env.value("default/configmap/shop") is None


@pytest.mark.parametrize("type", ["configmap", "secret"])
def test_a_config_map_or_secret_that_is_known_is_not_asked_for_again(env: MetaManagerEnv, type: str) -> None:
    env.store.meta.put([MetaRow(f"default/{type}/shop", type, '{"data":{}}')])
    question = QueryObject(type=type, namespace="default", name="shop")
    env.tell(question)
    passed = told(env)
    assert (passed.parent_msg_id, passed.content, passed.source) == (question.msg_id, {"data": {}}, "metamanager")
    assert len(env.edgehub) == 0


def test_an_error_stored_by_an_older_program_is_not_taken_for_a_config_map(env: MetaManagerEnv) -> None:
    env.store.meta.put([MetaRow("default/configmap/shop", "configmap", msgspec.json.encode(ERROR).decode())])
    env.tell(QUERY)
    assert isinstance(sent(env), QueryObject)


def test_pods_and_nodes_are_never_asked_for(env: MetaManagerEnv) -> None:
    env.store.meta.put([MetaRow("default/pod/shop", "pod", msgspec.json.encode(pod()).decode())])
    env.tell(QueryObject(type="pod", namespace="default", name="shop"))
    assert told(env).content == pod()
    env.tell(QueryObject(type="node", namespace="null", name="edge-1"))
    content = told(env).content
    assert content["ErrStatus"]["reason"] == "NotFound"
    assert content["ErrStatus"]["details"] == {"name": "edge-1", "kind": "node"}
    env.tell(QueryObject(type="pod", namespace="default", name=""))
    assert told(env).content == [pod()]
    assert len(env.edgehub) == 0


@pytest.mark.parametrize("question", CALLS, ids=lambda question: type(question).__name__)
def test_without_a_link_a_question_is_refused(env: MetaManagerEnv, question: LinkMessage) -> None:
    env.tell(question)
    query = sent(env)
    env.tell(ErrorResponse(parent_msg_id=query.msg_id, resource="x", reason="not connected"))
    refusal = told(env)
    assert isinstance(refusal, ErrorResponse)
    assert (refusal.parent_msg_id, refusal.reason) == (question.msg_id, "failed to process remote: not connected")
    assert len(env.edgehub) == 0


def test_without_a_link_the_store_answers_what_it_knows(env: MetaManagerEnv) -> None:
    lease = {"metadata": {"name": "edge-1"}}
    volume = {"metadata": {"name": "data"}}
    env.store.meta.put(
        [
            MetaRow(LEASE_KEY, "lease", msgspec.json.encode(lease).decode()),
            MetaRow("null/persistentvolume/data", "persistentvolume", msgspec.json.encode(volume).decode()),
        ]
    )
    for question, content in [
        (QueryLease(name="edge-1"), {"Object": lease, "Err": None}),
        (QueryObject(type="persistentvolume", namespace="null", name="data"), volume),
        (QueryObject(type="persistentvolume", namespace="null", name=""), [volume]),
    ]:
        env.tell(question)
        env.tell(ErrorResponse(parent_msg_id=sent(env).msg_id, resource="x", reason="not connected"))
        assert told(env).content == content


def test_when_the_link_goes_down_whoever_waits_is_told_at_once(env: MetaManagerEnv) -> None:
    env.tell(REGISTER, QUERY)
    env.tell(LinkDown(reason="the cable"))
    assert [type(message) for message in env.edged] == [ErrorResponse, ErrorResponse]
    assert {message.parent_msg_id for message in env.edged} == {REGISTER.msg_id, QUERY.msg_id}


def test_an_answer_that_does_not_come_in_a_minute_is_refused_and_a_late_one_only_acknowledged(
    env: MetaManagerEnv,
) -> None:
    env.tell(QUERY)
    query = sent(env)
    env.harness.advance(30.0)
    env.tell(REGISTER)
    env.edgehub.take()
    env.harness.advance(29.0)
    assert len(env.edged) == 0
    env.harness.advance(1.0)
    assert told(env).parent_msg_id == QUERY.msg_id
    answer(env, query, CONFIG)
    assert len(env.edged) == 0
    assert isinstance(sent(env), Response)
    env.harness.advance(30.0)
    assert told(env).parent_msg_id == REGISTER.msg_id


def test_after_a_crash_whoever_waited_is_refused(env: MetaManagerEnv) -> None:
    env.tell(QUERY)
    env.harness.crash(constants.METAMANAGER)
    assert told(env).parent_msg_id == QUERY.msg_id


@pytest.mark.parametrize(
    ("resource", "content", "acknowledged"),
    [
        ("default/configmap/shop", CONFIG, True),
        ("null/nodepatch/edge-1", {"Object": {}, "Err": None}, False),
        ("default/podpatch/shop", {"Object": {}, "Err": None}, False),
        ("default/pod/shop", "OK", False),
    ],
)
def test_an_answer_nobody_waits_for_is_acknowledged_if_the_cloud_would_repeat_it(
    env: MetaManagerEnv, resource: str, content: Any, acknowledged: bool
) -> None:
    env.tell(Response(parent_msg_id="of a life before", resource=resource, content=content))
    assert len(env.edgehub) == int(acknowledged)
    assert len(env.edged) == 0


def test_an_answer_that_can_not_be_stored_is_refused_and_not_acknowledged() -> None:
    store = FakeStore()
    env = MetaManagerEnv(store)
    env.tell(QUERY)
    query = sent(env)
    store.failure = StoreError("the disk is full")
    answer(env, query, CONFIG)
    assert told(env).reason == "the disk is full"
    assert len(env.edgehub) == 0


@pytest.mark.parametrize(
    ("patch", "key"),
    [
        (PatchNode(name="edge-1", patch='{"status":{}}'), "null/nodepatch/edge-1"),
        (PatchPod(namespace="default", name="shop", patch='{"status":{}}'), "default/podpatch/shop"),
    ],
)
def test_a_patch_is_stored_as_text_and_passed_through_both_ways(env: MetaManagerEnv, patch: Any, key: str) -> None:
    env.tell(patch)
    assert sent(env) == patch
    assert env.value(key) == '{"status":{}}'
    content = {"Object": {"metadata": {"name": "x"}}, "Err": None}
    answer(env, patch, content, key)
    assert told(env).content == content
    assert len(env.edgehub) == 0, "the answer to a patch is not acknowledged"
    assert env.value(key) == '{"status":{}}'


def test_the_read_api_shows_what_a_patch_has_made_of_a_pod_that_is_known(env: MetaManagerEnv) -> None:
    patch = PatchPod(namespace="default", name="shop", patch="{}")
    running = {**pod(version=9), "status": {"phase": "Running"}}
    bare = {key: value for key, value in running.items() if key not in ("kind", "apiVersion")}

    def shown() -> str:
        row = env.store.meta.object("/core/v1/pods/default/shop")
        return row.value if row else ""

    env.tell(patch)
    answer(env, patch, {"Object": bare, "Err": None})
    assert shown() == "", "the pod is not known, or not any more"
    env.tell(ObjectPushed(operation="insert", type="pod", namespace="default", name="shop", object=pod()))
    for object, phase in ((bare, "Running"), ({**bare, "metadata": {**bare["metadata"], "uid": "other"}}, "Running")):
        env.tell(patch)
        answer(env, patch, {"Object": object, "Err": None})
        assert msgspec.json.decode(shown())["metadata"]["uid"] == "u1"
        assert msgspec.json.decode(shown())["status"] == {"phase": phase}
    assert "Running" not in (env.value("default/pod/shop") or ""), "edged gets what the cloud pushed"


def test_a_patch_without_a_link_is_stored_and_refused(env: MetaManagerEnv) -> None:
    patch = PatchNode(name="edge-1", patch="{}")
    env.tell(patch, ErrorResponse(parent_msg_id=patch.msg_id, resource="null/nodepatch/edge-1", reason="not connected"))
    assert told(env).reason == "connection lost between EdgeCore and CloudCore"
    assert env.value("null/nodepatch/edge-1") == "{}"


def test_a_node_update_is_stored_forwarded_and_answered_at_once(env: MetaManagerEnv) -> None:
    update = UpdateNode(name="edge-1", object={"metadata": {"labels": {}}})
    env.tell(update)
    assert sent(env) == update
    assert (told(env).content, env.value("null/node/edge-1")) == ("OK", '{"metadata":{"labels":{}}}')
    answer(env, update, "OK", "null/node/edge-1")
    assert (len(env.edged), len(env.edgehub)) == (0, 0)


def test_the_end_of_a_pod_and_events_are_forwarded_and_not_stored(env: MetaManagerEnv) -> None:
    env.store.meta.put([MetaRow("default/pod/shop", "pod", "{}")])
    delete = DeletePod(namespace="default", name="shop", options={})
    event = ReportEvent(operation="insert", namespace="default", name="e", content={})
    env.tell(delete, event)
    assert env.edgehub.take() == [delete, event]
    assert env.value("default/pod/shop") == "{}"
    assert env.store.meta.of_type("event") == []
    answer(env, delete, "OK", "default/pod/shop")
    assert told(env).parent_msg_id == delete.msg_id
    assert len(env.edgehub) == 0


def test_the_end_of_a_pod_is_not_refused_because_it_is_kept_until_the_cloud_has_it(env: MetaManagerEnv) -> None:
    env.tell(DeletePod(namespace="default", name="shop", options={}), LinkDown(reason="the cable"))
    env.harness.advance(120.0)
    assert len(env.edged) == 0


@pytest.mark.parametrize("question", [*CALLS, PatchNode(name="edge-1", patch="{}")], ids=lambda q: type(q).__name__)
def test_a_node_that_works_alone_refuses_at_once_and_speaks_to_nobody(question: LinkMessage) -> None:
    env = MetaManagerEnv(FakeStore(), cloud=False)
    env.tell(question)
    assert told(env).parent_msg_id == question.msg_id
    env.tell(ReportEvent(operation="insert", namespace="default", name="e", content={}))
    assert len(env.edgehub) == 0


def test_a_node_that_works_alone_answers_what_it_knows() -> None:
    env = MetaManagerEnv(FakeStore(), cloud=False)
    env.store.meta.put([MetaRow("default/configmap/shop", "configmap", '{"data":{}}')])
    env.tell(QUERY, UpdateNode(name="edge-1", object={}))
    assert [message.content for message in env.edged] == [{"data": {}}, "OK"]


# --- tokens -------------------------------------------------------------------------------------------------------


def token(env: MetaManagerEnv, life: float, age: float = 0.0) -> dict[str, Any]:
    """A filled-in TokenRequest that was made `age` seconds ago and lives for `life` seconds."""
    ends = datetime.datetime.fromtimestamp(env.harness.clock.now() - age + life, datetime.UTC)
    stamp = ends.isoformat().replace("+00:00", "Z")
    return {"kind": "TokenRequest", "spec": {"expirationSeconds": life}, "status": {"expirationTimestamp": stamp}}


def request(audience: str = "a") -> RequestToken:
    return RequestToken(namespace="default", name="shop-sa", object={"spec": {"audiences": [audience]}})


def test_a_token_is_given_out_again_while_it_is_fresh(env: MetaManagerEnv) -> None:
    env.tell(request())
    answer(env, sent(env), token(env, 3600.0), "default/serviceaccounttoken/shop-sa")
    env.edged.take()
    env.edgehub.take()
    env.tell(again := request())
    assert told(env).parent_msg_id == again.msg_id
    assert len(env.edgehub) == 0


@pytest.mark.parametrize(("life", "age"), [(3600.0, 2900.0), (864_000.0, 90_000.0)])
def test_a_token_older_than_most_of_its_life_or_a_day_is_asked_for_anew(
    env: MetaManagerEnv, life: float, age: float
) -> None:
    env.tell(request())
    answer(env, sent(env), token(env, life, age), "default/serviceaccounttoken/shop-sa")
    env.edgehub.take()
    env.tell(request())
    assert isinstance(sent(env), RequestToken)


def test_a_token_for_another_audience_is_another_token(env: MetaManagerEnv) -> None:
    env.tell(request("a"))
    answer(env, sent(env), token(env, 3600.0), "default/serviceaccounttoken/shop-sa")
    env.edgehub.take()
    env.tell(request("b"))
    assert isinstance(sent(env), RequestToken)


def test_a_stored_token_without_a_time_is_not_trusted(env: MetaManagerEnv) -> None:
    env.tell(request())
    answer(env, sent(env), {"status": {"token": "x"}}, "default/serviceaccounttoken/shop-sa")
    env.edgehub.take()
    env.tell(request())
    assert isinstance(sent(env), RequestToken)


def test_a_full_disk_is_said_once_and_keeps_no_status_from_the_cloud(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeStore()
    env = MetaManagerEnv(store)
    store.failure = StoreError("the disk is full: edge.db can not grow")
    patches = [PatchNode(name="edge-1", patch="{}") for _ in range(3)]
    env.tell(*patches)
    assert env.edgehub.take() == patches
    assert caplog.text.count("the disk is full") == 1
    store.failure = None
    env.tell(PatchNode(name="edge-1", patch='{"status":{}}'))
    assert "the database accepts writes again" in caplog.text
    assert env.value("null/nodepatch/edge-1") == '{"status":{}}'


def test_what_the_disk_refuses_of_a_node_update_is_an_error_and_of_a_patchs_answer_is_passed_on() -> None:
    store = FakeStore()
    env = MetaManagerEnv(store)
    env.tell(PatchPod(namespace="default", name="shop", patch="{}"))
    patch = sent(env)
    store.failure = StoreError("database or disk is full")
    env.tell(update := UpdateNode(name="edge-1", object={"metadata": {"name": "edge-1"}}))
    refusal = told(env)
    assert isinstance(refusal, ErrorResponse) and refusal.reason == "database or disk is full"
    assert refusal.parent_msg_id == update.msg_id and env.edgehub.take() == []
    answered = answer(env, patch, {"metadata": {"name": "shop", "namespace": "default", "uid": "u"}})
    assert told(env).content == answered.content
