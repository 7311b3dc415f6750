"""The control socket, the newer questions: health, errors, following messages, dropping dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.control import SOCKET, ControlSocket, traces
from kubeedge_actors.control import server as control_server
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.control.traces import EVERY, MessageTracer, TraceFilter, TraceMatcher
from kubeedge_actors.deadletters.durable_dead_letters import FILE, DurableDeadLetters
from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import NO_BACKOFF, ActorSystem, Intensity, OneForOne, SupervisorSpec, ThreadsEngine
from kubeedge_actors.supervisors.telemetry.tracing import Span
from kubeedge_actors.wire.messages import MqttPublish, Response, TwinGet
from tests.support.waiting import PATIENCE, eventually


class Asker(Module):
    """Passes on, answers, breaks."""

    name, emits = "asker", (Response,)

    @on
    def on_twin_get(self, message: TwinGet) -> None:
        self.publish(Response(msg_id="a-1", parent_msg_id="q-1", resource="x"))

    @on
    def on_mqtt_publish(self, message: MqttPublish) -> None:
        raise ValueError(message.topic)

    @on
    def echo(self, text: str) -> str:
        return text


class Taker(Module):
    """Takes answers."""

    name = "taker"

    @on
    def on_response(self, message: Response) -> None: ...


class ControlEnv:
    """A runtime and its control socket."""

    def __init__(self, folder: Path) -> None:
        self.office = DurableDeadLetters(folder / FILE)
        self.runtime = ActorSystem(
            ThreadsEngine(), dead_letters=self.office, optional_types=(str, TwinGet, MqttPublish)
        )
        specs = [Asker.spec(backoff=NO_BACKOFF), Taker.spec(backoff=NO_BACKOFF)]
        self.runtime.start(SupervisorSpec("root", specs, OneForOne(Intensity(max_restarts=100, period=10.0))))
        self.control = ControlSocket(folder / SOCKET, self.runtime, dead_letters=self.office, allow_faults=True)
        self.control.start()
        self.client = ControlClient(folder / SOCKET)

    def say(self, message: object) -> None:
        self.runtime.ref("asker").tell(message)
        self.runtime.ref("asker").ask("then", PATIENCE).get()

    def close(self) -> None:
        self.client.close()
        self.control.close()
        self.runtime.stop(PATIENCE)
        self.office.close()


@pytest.fixture
def env(tmp_path: Path) -> Iterator[ControlEnv]:
    env = ControlEnv(tmp_path)
    yield env
    env.close()


GET = TwinGet(device="t1", payload=b"{}")


def test_health_tells_of_every_actor_or_of_one(env: ControlEnv) -> None:
    answer = env.client.ask("health")
    assert {name: letter["state"] for name, letter in answer.items()} == {"asker": "ok", "taker": "ok"}
    assert list(env.client.ask("health", actor="taker")) == ["taker"]
    assert env.client.ask("tree", health=True)["health"]["asker"]["answered"] > 0
    for mistake, words in (
        ({"actor": "nobody"}, "nobody"),
        ({"patience": "long"}, "patience"),
        ({"patience": 99}, "30"),
    ):
        with pytest.raises(KubeEdgeActorsError, match=words):
            env.client.ask("health", **mistake)


def test_the_last_errors_of_an_actor_come_with_their_tracebacks(env: ControlEnv) -> None:
    env.say(MqttPublish(topic="bad", payload=b""))
    errors = env.client.ask("errors", actor="asker")
    assert [letter["error"] for letter in errors] == ["ValueError: bad"] * 3
    assert "raise ValueError(message.topic)" in errors[0]["traceback"]
    assert env.client.ask("errors", actor="taker") == []


def test_only_the_newest_dead_letters_are_told_if_so_many_are_asked_for(env: ControlEnv) -> None:
    for topic in "abc":
        env.say(MqttPublish(topic=topic, payload=b""))
    newest = env.client.ask("deadletters", newest=2)
    assert [letter["error"] for letter in newest] == ["ValueError: b", "ValueError: c"]
    with pytest.raises(KubeEdgeActorsError, match="from 1"):
        env.client.ask("deadletters", newest=0)


def test_a_dead_letter_can_be_dropped(env: ControlEnv) -> None:
    env.say(MqttPublish(topic="bad", payload=b""))
    (letter,) = env.client.ask("deadletters")
    assert env.client.ask("drop", id=letter["id"]) == letter["id"]
    assert env.client.ask("deadletters") == []
    with pytest.raises(KubeEdgeActorsError, match="no dead letter"):
        env.client.ask("drop", id=letter["id"])


def test_a_message_is_followed_by_the_id_of_its_trace_and_by_its_own(env: ControlEnv) -> None:
    assert env.client.ask("trace", on=True)["on"]
    env.say(GET)
    for wanted in ("t1", "a-1", "q-1"):
        with env.client.stream("trace", id=wanted) as hops:
            seen = take(hops, 2)
        assert {(hop["from"], hop["to"], hop["type"]) for hop in seen} == {
            ("", "asker", "TwinGet"),
            ("asker", "taker", "Response"),
        }
        assert all(hop["id"] == "t1" and hop["outcome"] == "handled" for hop in seen)
        assert all(hop["wait"] >= 0 and hop["took"] >= 0 for hop in seen)
    recent = env.client.ask("trace")["recent"]
    assert (recent[0]["id"], recent[0]["type"], recent[0]["hops"]) == ("t1", "TwinGet", 2)
    eventually(lambda: not env.client.ask("trace", on=False)["on"], "it is noticed that the streams are closed")
    assert env.client.ask("trace")["recent"] == []
    assert env.runtime.tracer is None


def take(hops: Any, count: int) -> list[dict[str, Any]]:
    """The first hops of a stream."""
    answers: list[dict[str, Any]] = []
    for letter in hops.answers_until(lambda: len(answers) >= count):
        answers.append(letter)
        if len(answers) == count:
            return answers
    return answers


def test_a_stream_follows_as_long_as_it_is_open_and_only_what_it_wants(env: ControlEnv) -> None:
    with env.client.stream("trace", id="*", actor="taker", ready=True) as hops:
        assert take(hops, 1) == [{"ready": True}] and env.runtime.tracer is not None
        env.say(GET)
        (hop,) = take(hops, 1)
        assert (hop["to"], hop["type"], hop["names"]) == ("taker", "Response", ["a-1", "q-1"])
    while env.runtime.tracer is not None:
        env.say("something that the stream can not be told")
        env.client.ask("trace")


def test_switching_twice_and_off_without_on_does_no_harm(env: ControlEnv) -> None:
    traces = MessageTracer(env.runtime)
    traces.switch(False)
    traces.switch(True, actor="asker")
    traces.switch(True, type="TwinGet")
    assert traces.state() == {"on": True, "actor": "", "type": "TwinGet", "recent": []}
    traces.switch(False)
    assert env.runtime.tracer is None


def hop(trace: str, *names: str) -> Span:
    return Span(trace, names, "a", "b", "Type", 0.0, 0.0, 0.0, 1, "handled")


@pytest.mark.parametrize("wanted", [EVERY, "mine"])
def test_however_long_somebody_follows_only_so_many_traces_are_remembered(
    wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "BELONGING", 3)
    matcher = TraceMatcher(wanted, TraceFilter(type="Type"))
    assert all(matcher.matches(hop(str(n), "mine")) for n in range(100))
    assert list(matcher._ids) == ["97", "98", "99"]
    assert matcher.matches(hop("mine")) and matcher.matches(hop("new", "mine"))


def test_a_moment_without_descriptors_does_not_end_the_control_socket(
    env: ControlEnv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(control_server, "AGAIN", 0.001)
    real, failures = env.control._socket, iter([OSError(24, "Too many open files")])

    class Scarce:
        def accept(self) -> Any:
            for failure in failures:
                raise failure
            return real.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    monkeypatch.setattr(env.control, "_socket", Scarce())
    for _ in range(3):  # the first comes to the accept that was under way
        client = ControlClient(env.client.path)
        assert client.ask("health", actor="taker")
        client.close()
    assert "can not take a client: [Errno 24] Too many open files" in caplog.text


def test_a_stream_to_nobody_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing answers at"):
        ControlClient(tmp_path / SOCKET).stream("events")
