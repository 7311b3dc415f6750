"""What was answered is stored, whatever happens: group commit, refusing databases, crashes, `kill -9`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.actors.devicetwin import DeviceTwin
from kubeedge_actors.drivers.store.base import DeviceRow, TwinChanges
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.errors import StoreError
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec, ThreadsEngine
from kubeedge_actors.testing import crash_at, inline
from kubeedge_actors.wire.messages import MqttPublish, TwinReported, TwinUpdate, TwinUpdated
from tests.support.env.devicetwin import LAMP, NODE, DeviceTwinEnv, actual
from tests.support.processes import child
from tests.support.waiting import PATIENCE

Json = dict[str, Any]


def updates(count: int, device: str = LAMP) -> list[TwinUpdate]:
    twin = '{{"event_id":"e{0}","twin":{{"a":{{"actual":{{"value":"{0}"}}}}}}}}'
    return [TwinUpdate(device=device, payload=twin.format(n).encode()) for n in range(count)]


def test_what_is_queued_is_committed_together_and_answered_in_order() -> None:
    env = DeviceTwinEnv(LAMP)
    commits: list[TwinChanges] = []
    apply = env.store.twin.apply

    def commit(changes: TwinChanges) -> None:
        commits.append(changes)
        apply(changes)

    env.store.twin.apply = commit  # type: ignore[method-assign]
    for message in updates(300):
        env.harness.ref("devicetwin").tell(message)
    env.harness.run()
    results = [payload["event_id"] for topic, payload in env.heard() if topic.endswith("/result")]
    assert results == [f"e{n}" for n in range(300)]
    assert [len(changes.twins) for changes in commits] == [1, 1]
    assert [len(changes.reports) for changes in commits] == [1, 1]
    assert env.reports()[-1]["a"]["actual_version"] == {"cloud": 0, "edge": 300}


def test_a_bad_request_in_a_batch_spoils_nothing_for_the_others() -> None:
    env = DeviceTwinEnv(LAMP)
    batch = updates(5)
    batch[2] = TwinUpdate(device=LAMP, payload=b"{")
    batch[3] = TwinUpdate(device="default/ghost", payload=batch[3].payload)
    for message in batch:
        env.harness.ref("devicetwin").tell(message)
    env.harness.run()
    codes = [payload.get("code", 200) for topic, payload in env.heard() if topic.endswith("/result")]
    assert codes == [200, 200, 400, 404, 200]


def refuse(changes: TwinChanges) -> None:
    """Instead of a store's `apply`."""
    raise StoreError("database or disk is full")


def test_a_database_that_refuses_is_answered_with_500_and_nothing_has_happened() -> None:
    env = DeviceTwinEnv(LAMP)
    env.update({"a": actual("1")})
    env.reports()
    outbox = env.store.outbox.pending()
    apply = env.store.twin.apply
    env.store.twin.apply = refuse  # type: ignore[method-assign]
    ((kind, published),) = env.update({"a": actual("2"), "b": actual("3")})
    assert (kind, published["code"], published["reason"]) == ("update/result", 500, "database or disk is full")
    assert env.update({}, device="default/ghost")[0][1]["code"] == 404
    assert env.twins() == {"a": env.twins()["a"]}
    assert env.twins()["a"]["actual"]["value"] == "1"
    assert (env.reports(), env.store.outbox.pending()) == ([], outbox)
    env.store.twin.apply = apply  # type: ignore[method-assign]
    env.update({"a": actual("2")})
    assert env.reports()[0]["a"]["actual_version"] == {"cloud": 0, "edge": 2}
    assert env.harness.crashes == []


def test_who_is_refused_in_a_batch_that_can_not_be_stored_hears_its_own_reason() -> None:
    env = DeviceTwinEnv(LAMP)
    env.store.twin.apply = refuse  # type: ignore[method-assign]
    batch = updates(4)
    batch[1] = TwinUpdate(device=LAMP, payload=b"{")
    batch[2] = TwinUpdate(device="default/ghost", payload=batch[2].payload)
    for message in batch:
        env.harness.ref("devicetwin").tell(message)
    env.harness.run()
    codes = [payload["code"] for topic, payload in env.heard() if topic.endswith("/result")]
    assert sorted(codes) == [400, 404, 500, 500]


def test_a_database_that_can_not_be_read_either_is_a_crash_that_is_survived() -> None:
    env = DeviceTwinEnv(LAMP, contain=True)
    env.harness.run()
    env.store.failure = StoreError("disk I/O error")
    env.update({"a": actual("1")})
    assert env.harness.crashes
    env.store.failure = None
    env.harness.advance(60.0)
    env.heard()
    assert "code" not in env.result({"a": actual("2")})


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_loses_no_update_and_each_is_answered(after: bool) -> None:
    store = FakeStore()
    store.twin.apply(TwinChanges(devices=[DeviceRow(LAMP, "lamp")]))
    spec = crash_at(DeviceTwin.spec(lambda: DeviceTwin(NODE, store.twin)), 1, 3, after=after)
    with inline(spec) as harness:
        published, hub = harness.probe(MqttPublish), harness.probe("edgehub", TwinReported, TwinUpdated)
        for message in updates(600):
            harness.ref("devicetwin").tell(message)
        harness.run()
        harness.advance(60.0)
        results = [json.loads(message.payload) for message in published if message.topic.endswith("/update/result")]
        assert {result["event_id"] for result in results} == {f"e{n}" for n in range(600)}
        assert all("code" not in result for result in results)
        assert store.twin.twins()[0].actual == "599"
        assert {row.msg_id for row in store.outbox.pending()} >= {message.msg_id for message in hub.of(TwinReported)}


def test_many_devices_are_remembered_as_they_were(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "edge.db")
    store.twin.apply(TwinChanges(devices=[DeviceRow(f"default/d{n}", f"d{n}") for n in range(50)]))
    with inline(
        DeviceTwin.spec(lambda: DeviceTwin(NODE, store.twin, has_cloud=False, publish_updates=False))
    ) as harness:
        harness.probe(MqttPublish)
        for device in range(50):
            for message in updates(3, f"default/d{device}"):
                harness.publish(message)
    store.close()
    store = SqliteStore(tmp_path / "edge.db")
    rows = store.twin.twins()
    assert [(row.actual, row.actual_version) for row in rows] == [("2", '{"cloud":0,"edge":3}')] * 50
    store.close()


VICTIM = """
import sys
from kubeedge_actors.actors.devicetwin import DeviceTwin
from kubeedge_actors.drivers.store.base import DeviceRow, TwinChanges
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec, ThreadsEngine
from kubeedge_actors.wire.messages import MqttPublish, TwinReported, TwinUpdate
import json, logging
logging.disable(logging.WARNING)

class Out(Module):
    name, group = "edgehub", "edgehub"  # one that is waited for
    @on
    def publish(self, message: MqttPublish) -> None:
        if message.topic.endswith("/update/result"):
            print(json.loads(message.payload)["event_id"], flush=True)
    @on
    def report(self, message: TwinReported) -> None:
        pass

store = SqliteStore(sys.argv[1])
store.twin.apply(TwinChanges(devices=[DeviceRow("default/lamp", "lamp")]))
runtime = ActorSystem(ThreadsEngine())
runtime.start(SupervisorSpec("t", [Out.spec(), DeviceTwin.spec(lambda: DeviceTwin("n", store.twin, publish_updates=False))]))
twin = runtime.ref("devicetwin")
for n in range(1_000_000):
    text = '{"event_id":"%d","twin":{"p%d":{"actual":{"value":"%d"}}}}' % (n, n % 7, n)
    twin.tell(TwinUpdate(device="default/lamp", payload=text.encode()))
"""


def test_kill_9_loses_no_update_that_was_answered_nor_its_report(tmp_path: Path) -> None:
    database = tmp_path / "edge.db"
    command = (sys.executable, "-c", VICTIM, str(database))
    with child(command, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        answered = [int(next(victim.stdout)) for _ in range(2_000)]
        os.kill(victim.pid, signal.SIGKILL)
        answered += [int(line) for line in victim.stdout if line.endswith("\n")]
    assert answered == list(range(len(answered)))
    store = SqliteStore(database)
    stored = {row.name: int(row.actual or -1) for row in store.twin.twins()}
    for name in range(7):
        assert stored[f"p{name}"] >= max(n for n in answered if n % 7 == name)
    reported = {}
    for row in store.outbox.pending():
        for key, entry in json.loads(row.frame)["content"]["twin"].items():
            reported[key] = int(entry["actual"]["value"])
    assert reported == stored
    store.close()


def test_threads_carry_the_same_load() -> None:
    store = FakeStore()
    store.twin.apply(TwinChanges(devices=[DeviceRow(LAMP, "lamp")]))
    system = ActorSystem(ThreadsEngine())
    system.start(
        SupervisorSpec(
            "t", [DeviceTwin.spec(lambda: DeviceTwin(NODE, store.twin, has_cloud=False, publish_updates=False))]
        )
    )
    twin = system.ref("devicetwin")
    for message in updates(2_000):
        twin.tell(message)
    system.stop(PATIENCE)
    assert store.twin.twins()[0].actual_version == '{"cloud":0,"edge":2000}'
