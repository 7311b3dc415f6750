"""The control socket's commands about one actor, its past and its suspension, and those about many dead letters at once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors.control import SOCKET
from kubeedge_actors.control.figures import COLUMNS, Figures
from kubeedge_actors.deadletters.durable_dead_letters import FILE
from kubeedge_actors.errors import KubeEdgeActorsError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import SupervisorSpec
from kubeedge_actors.wire.messages import MqttPublish
from tests.support.waiting import PATIENCE, eventually
from tests.unit.control.test_commands import GET, ControlEnv


@pytest.fixture
def env(tmp_path: Path) -> Iterator[ControlEnv]:
    env = ControlEnv(tmp_path)
    yield env
    env.close()


def test_an_actor_up_close(env: ControlEnv) -> None:
    env.runtime.ask("asker", GET).get()
    env.say(MqttPublish(topic="bad", payload=b""))
    told = env.client.ask("actor", actor="asker")
    assert (told["name"], told["group"], told["state"], told["supervisor"]) == ("asker", "user", "running", "root")
    assert told["since"] > 1e9
    assert {"TwinGet", "str"} <= {row["type"] for row in told["messages"]}
    assert {"actor": "taker", "type": "Response"}.items() <= told["to"][0].items()
    assert told["mailbox"].items() >= {"depth": 0, "capacity": 1000, "policy": "block", "durable": False}.items()
    assert [failure["error"] for failure in told["failures"]] == ["ValueError: bad"] * 3
    assert "raise ValueError" in told["failures"][0]["traceback"]
    assert (told["waits_for"], told["waited_for_by"], told["spec"]["max_deliveries"]) == (None, [], 3)
    (asker, _) = env.client.ask("tree")["tree"]["children"]
    assert asker["since"] == pytest.approx(told["since"], abs=1.0)


def test_failures_of_one_actor_outlive_those_of_others(env: ControlEnv) -> None:
    env.say(MqttPublish(topic="first", payload=b""))
    while any(each["name"] == "asker" for each in env.client.ask("errors")):
        env.client.ask("crash", actor="taker")
        env.client.ask("restart", actor="taker")
    assert [each["error"] for each in env.client.ask("actor", actor="asker")["failures"]] == ["ValueError: first"] * 3


def test_the_history_of_all_or_of_one(env: ControlEnv) -> None:
    answer = env.client.ask("history")
    assert (answer["step"], sorted(answer["actors"])) == (5.0, ["asker", "taker"])
    assert answer["actors"]["asker"]["depth"] == [0]
    assert answer["process"]["rss"][-1] > 1_000_000
    assert list(env.client.ask("history", actor="taker")["actors"]) == ["taker"]
    assert env.client.ask("history", since=answer["end"])["actors"]["taker"]["depth"] == []


def test_a_suspended_actor_keeps_what_is_queued_until_it_is_resumed(env: ControlEnv) -> None:
    assert env.client.ask("suspend", actor="taker") == "taker"
    assert env.client.ask("health", actor="taker")["taker"]["state"] == "suspended"
    assert env.client.ask("actor", actor="taker")["suspension"] == "an operator suspended it"
    with pytest.raises(KubeEdgeActorsError, match="taker is suspended already: an operator suspended it"):
        env.client.ask("suspend", actor="taker")
    env.say(GET)  # what is sent to it meanwhile is a dead letter
    (letter,) = env.client.ask("deadletters")
    assert (letter["recipient"], letter["reason"]) == ("taker", "the actor is suspended")
    assert env.client.ask("resume", actor="taker") == "taker"
    assert env.client.ask("replay", ids=[letter["id"]]) == {"done": [letter["id"]], "failed": {}}


def test_a_damaged_file_of_dead_letters_leaves_the_rest_to_be_seen(env: ControlEnv, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database, and long enough to be read as one" * 100)
    assert env.client.ask("tree")["dead_letters_kept"] == 0
    with pytest.raises(KubeEdgeActorsError, match="damaged or no database"):
        env.client.ask("deadletters")


def test_many_letters_are_replayed_and_dropped_at_once(env: ControlEnv) -> None:
    assert env.client.ask("tree")["dead_letters_kept"] == 0
    for topic in "abc":
        env.say(MqttPublish(topic=topic, payload=b""))
    ids = [letter["id"] for letter in env.client.ask("deadletters")]
    facts = env.client.ask("tree")
    assert (facts["dead_letters"], facts["dead_letters_kept"]) == (3, 3)
    replayed = env.client.ask("replay", ids=[*ids[:2], 99])
    assert (replayed["done"], list(replayed["failed"])) == (ids[:2], ["99"])
    again = env.client.ask("replay", ids=ids[:1])["failed"]
    assert again == {str(ids[0]): f"the dead letter {ids[0]} was replayed before"}
    dropped = env.client.ask("drop", ids=[ids[0], 77, ids[0]])
    assert dropped == {"done": ids[:1], "failed": {"77": "there is no dead letter 77"}}
    assert ids[0] not in [letter["id"] for letter in env.client.ask("deadletters")]
    env.office.file.clear()  # as `deadletters drop --all` does, in another process
    assert env.client.ask("tree")["dead_letters_kept"] == len(env.client.ask("deadletters"))


ODD: list[tuple[dict[str, Any], str]] = [
    ({"cmd": "actor"}, "needs 'actor'"),
    ({"cmd": "actor", "actor": "nobody"}, "no actor is called 'nobody'"),
    ({"cmd": "actor", "actor": ["asker"]}, "no actor is called"),
    ({"cmd": "history", "actor": {"name": "asker"}}, "no actor is called"),
    ({"cmd": "history", "since": "yesterday"}, "`since` is a moment"),
    ({"cmd": "history", "since": True}, "`since` is a moment"),
    ({"cmd": "suspend", "actor": None}, "no actor is called"),
    ({"cmd": "health", "patience": True}, "`patience`"),
    ({"cmd": "drop", "ids": "all"}, "`ids` is a list"),
    ({"cmd": "drop", "ids": {"1": 2}}, "`ids` is a list"),
    ({"cmd": "drop", "ids": ["1"]}, "is a number, not '1'"),
    ({"cmd": "drop", "ids": [True]}, "is a number, not True"),
    ({"cmd": "drop", "ids": [1] * 1001}, "at most 1000"),
    ({"cmd": "replay", "ids": list(range(1, 50_000))}, "at most 1000"),
    ({"cmd": "drop", "id": 2**63}, "there is no dead letter"),
    ({"cmd": "replay", "id": -1}, "there is no dead letter"),
    ({"cmd": "deadletters", "newest": 2**63}, "`newest`"),
    ({"cmd": "deadletters", "newest": False}, "`newest`"),
]


@pytest.mark.parametrize(("request_", "words"), ODD, ids=lambda each: str(each)[:50])
def test_an_odd_request_gets_one_clear_sentence(env: ControlEnv, request_: dict[str, Any], words: str) -> None:
    with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as lines:
        client.settimeout(PATIENCE)
        client.connect(str(env.client.path))
        client.sendall(msgspec.json.encode(request_) + b"\n" + b'{"cmd":"health"}\n')
        error, health = (msgspec.json.decode(lines.readline()) for _ in range(2))
    assert words in error["error"]
    assert "\n" not in error["error"]
    assert len(error["error"]) < 300
    assert health["ok"]["asker"]["well"], "the connection goes on"


def test_a_defect_of_a_command_is_a_sentence_too(env: ControlEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.runtime, "tree", lambda: 1 / 0)
    with pytest.raises(KubeEdgeActorsError, match="tree failed: ZeroDivisionError"):
        env.client.ask("tree")


class Stuck(Module):
    """Never comes back from its handler until it may."""

    name, gate = "stuck", threading.Event()

    @on
    def on_text(self, message: str) -> None:
        self.gate.wait(PATIENCE)


def test_a_hung_actor_blocks_no_command(tmp_path: Path) -> None:
    from kubeedge_actors.control import ControlSocket
    from kubeedge_actors.control.client import ControlClient
    from kubeedge_actors.supervisors import ActorSystem, ThreadsEngine

    system = ActorSystem(ThreadsEngine(), optional_types=(str,))
    system.start(SupervisorSpec("root", [Stuck.spec()]))
    control = ControlSocket(tmp_path / SOCKET, system)
    control.start()
    client = ControlClient(tmp_path / SOCKET)
    try:
        for text in ("first", "second"):
            system.tell("stuck", text)
        eventually(lambda: client.ask("actor", actor="stuck")["mailbox"]["depth"] == 1)
        assert client.ask("actor", actor="stuck")["busy"] > 0
        assert "stuck" in client.ask("history")["actors"]
    finally:
        Stuck.gate.set()
        client.close()
        control.close()
        system.stop(PATIENCE)


def test_figures_are_columns_of_what_the_tree_tells(env: ControlEnv) -> None:
    env.runtime.ask("asker", GET).get()
    env.client.ask("suspend", actor="taker")
    told = env.client.ask("figures")
    columns = told["actors"]
    assert columns["name"] == ["asker", "taker"]
    rows = {name: {key: columns[key][at] for key in COLUMNS} for at, name in enumerate(columns["name"])}
    tree = {child["name"]: child for child in env.client.ask("tree")["tree"]["children"]}
    for name, row in rows.items():
        assert {key: row[key] for key in ("depth", "handled", "restarts", "dead_letters")} == {
            key: tree[name][key] for key in ("depth", "handled", "restarts", "dead_letters")
        }
    assert (rows["asker"]["health"], rows["taker"]["health"]) == ("ok", "suspended")
    assert columns["reasons"] == {"taker": "an operator suspended it"}
    assert told["at"] > 1e9


def test_figures_without_an_actor_are_empty_columns() -> None:
    told = Figures(lambda names: {}).answer([])
    assert [told["actors"][title] for title in COLUMNS] == [[] for _ in COLUMNS]


def test_figures_since_a_look_are_of_those_that_changed(env: ControlEnv) -> None:
    def rested() -> dict[str, Any]:
        told = env.client.ask("figures")
        return told if not any(told["actors"]["rate"]) else {}

    look: str = eventually(rested, "nobody has anything to do")["look"]
    told = env.client.ask("figures", since=look)
    assert told["since"] == look and told["actors"]["name"] == []
    env.say(MqttPublish(topic="t", payload=b""))
    changed = env.client.ask("figures", since=look)["actors"]
    whole = env.client.ask("figures")["actors"]
    assert set(changed["name"]) < set(whole["name"])
    for name, handled, rate in zip(changed["name"], changed["handled"], changed["rate"], strict=True):
        assert handled == whole["handled"][whole["name"].index(name)] and 0 < rate <= handled
    env.client.ask("suspend", actor="taker")
    told = env.client.ask("figures", since=told["look"])
    assert "taker" in told["actors"]["name"] and told["actors"]["reasons"]
    for unknown in ("x.1", look.partition(".")[0], f"{told['look']}1"):
        assert "since" not in env.client.ask("figures", since=unknown)


def test_health_without_probes_wakes_nobody_and_sees_who_is_ill(env: ControlEnv) -> None:
    env.client.ask("suspend", actor="taker")
    health = env.client.ask("health", probe=False)
    assert (health["asker"]["state"], health["asker"]["answered"]) == ("ok", None)
    assert health["taker"]["state"] == "suspended"
    assert env.client.ask("tree", health=True, probe=False)["health"]["asker"]["well"]
    assert list(env.client.ask("health", actor="asker", probe=False)) == ["asker"]


def test_the_databases_of_the_process(env: ControlEnv) -> None:
    env.say(MqttPublish(topic="bad", payload=b""))

    def committed() -> list[dict[str, Any]]:
        return [each for each in env.client.ask("stores") if each["name"] == FILE and each["commits"]]

    for store in eventually(committed):  # those of other tests in this process among them, until they are collected
        assert store["commit_p99"] >= store["commit_p50"] > 0
        assert store["bytes"] + store["wal_bytes"] >= 0
