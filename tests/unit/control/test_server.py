"""The control socket: one question a line, one answer a line, never a traceback."""

from __future__ import annotations

import json
import select
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeedge_actors.control import ControlSocket
from kubeedge_actors.control.actor_table import actor_rows, table_text
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import NO_BACKOFF, ActorSystem, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.supervisors.events import Subscriber
from tests.support.waiting import PATIENCE


class Echo(Module):
    """Says what it is told."""

    name = "echo"

    @on
    def echo(self, text: str) -> str:
        if text == "boom":
            raise ValueError("boom")
        return text


@pytest.fixture
def runtime() -> Iterator[ActorSystem]:
    system = ActorSystem(ThreadsEngine())
    system.start(SupervisorSpec("root", [Echo.spec(backoff=NO_BACKOFF)]))
    yield system
    system.stop(PATIENCE)


@pytest.fixture
def client(runtime: ActorSystem, tmp_path: Path) -> Iterator[ControlClient]:
    server = ControlSocket(tmp_path / "control.sock", runtime, lambda: {"link": "up"}, allow_faults=True)
    server.start()
    client = ControlClient(tmp_path / "control.sock")
    yield client
    client.close()
    server.close()


def watch(watcher: socket.socket, client: ControlClient, system: ActorSystem) -> None:
    """Ask for the events and return when they come: one of them is a message that nobody takes."""
    watcher.settimeout(PATIENCE)
    watcher.connect(str(client.path))
    watcher.sendall(b'{"cmd":"events"}\n')
    while not select.select([watcher], [], [], 0.05)[0]:
        system.publish({("no", "key"): "\ud800"})


def test_the_tree_names_every_actor_and_carries_the_facts(client: ControlClient) -> None:
    answer = client.ask("tree")
    assert answer["link"] == "up"
    assert answer["tree"]["children"][0]["name"] == "echo"
    assert [row.name for row in actor_rows(answer)] == ["", "echo"]
    assert "echo" in table_text(answer)


def test_only_its_owner_may_use_it(client: ControlClient) -> None:
    client.ask("tree")
    assert stat.S_IMODE(client.path.stat().st_mode) == 0o600


def test_a_crash_that_is_asked_for_is_seen_as_an_event_and_survived(
    client: ControlClient, runtime: ActorSystem
) -> None:
    with socket.socket(socket.AF_UNIX) as watcher:
        watch(watcher, client, runtime)
        client.ask("crash", actor="echo")
        lines = watcher.makefile()
        seen: list[str] = []
        while "Restarted" not in seen:
            seen.append(json.loads(lines.readline())["event"])
        assert "Failed" in seen
    assert runtime.ref("echo").ask("still here", PATIENCE).get() == "still here"


def test_a_restart_that_is_asked_for_is_no_failure(client: ControlClient, runtime: ActorSystem) -> None:
    assert client.ask("restart", actor="echo") == "echo"
    assert runtime.ref("echo").ask("new", PATIENCE).get() == "new"
    assert client.ask("tree")["tree"]["children"][0]["last_error"] in ("", None)


def test_dead_letters_are_listed_with_their_reason(client: ControlClient, runtime: ActorSystem) -> None:
    runtime.ref("echo").tell(7)
    runtime.ref("echo").ask("after it", PATIENCE).get()
    (letter,) = client.ask("deadletters")
    assert letter["recipient"] == "echo"
    assert letter["payload"] == "7"


def test_modules_come_and_go_at_run_time(client: ControlClient, runtime: ActorSystem) -> None:
    assert client.ask("add", module="tests.support.fakes.late_module:Late") == "late"
    assert runtime.ref("late").ask("hello", PATIENCE).get() == "hello!"
    client.ask("remove", actor="late")
    with pytest.raises(KubeEdgeActorsError, match="late"):
        runtime.ref("late")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"nonsense", "JSON"),
        (b"[]", "JSON"),
        (b'{"cmd":"fly"}', "fly"),
        (b'{"cmd":["x"]}', "x"),
        (b'{"cmd":"add","module":5}', "5"),
        (b'{"cmd":"crash"}', "actor"),
        (b'{"cmd":"crash","actor":"nobody"}', "nobody"),
        (b'{"cmd":"add","module":"nowhere:Nothing"}', "nowhere"),
    ],
)
def test_a_bad_question_is_answered_with_one_sentence(client: ControlClient, line: bytes, word: str) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(PATIENCE)
        raw.connect(str(client.path))
        raw.sendall(line + b"\n")
        answer = json.loads(raw.makefile().readline())
    assert word in answer["error"]
    assert "\n" not in answer["error"]
    assert client.ask("tree")["link"] == "up"


def test_faults_need_permission(runtime: ActorSystem, tmp_path: Path) -> None:
    server = ControlSocket(tmp_path / "safe.sock", runtime)
    server.start()
    client = ControlClient(tmp_path / "safe.sock")
    try:
        with pytest.raises(KubeEdgeActorsError, match="allow-faults"):
            client.ask("crash", actor="echo")
    finally:
        client.close()
        server.close()


def test_a_socket_that_nobody_serves_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing answers at .*control\.sock"):
        ControlClient(tmp_path / "control.sock").ask("tree")


def test_a_stream_of_events_ends_when_the_client_hangs_up(client: ControlClient, runtime: ActorSystem) -> None:
    ended, subscribe = threading.Event(), runtime.events.subscribe

    def watched(subscriber: Subscriber) -> Callable[[], None]:
        unsubscribe = subscribe(subscriber)

        def end() -> None:
            unsubscribe()
            ended.set()

        return end

    runtime.events.subscribe = watched  # type: ignore[method-assign]
    with socket.socket(socket.AF_UNIX) as watcher:
        watch(watcher, client, runtime)
        assert not ended.is_set()
    assert ended.wait(PATIENCE)


def test_a_restart_of_nobody_is_a_mistake(client: ControlClient) -> None:
    with pytest.raises(KubeEdgeActorsError, match="nobody"):
        client.ask("restart", actor="nobody")


def test_a_dead_letter_in_the_stream_is_one_of_any_message(client: ControlClient, runtime: ActorSystem) -> None:
    with socket.socket(socket.AF_UNIX) as watcher:
        watch(watcher, client, runtime)
        event = json.loads(watcher.makefile().readline())
    assert event["event"] == "DeadLettered"
    assert event["letter"]["type"] == "dict"
