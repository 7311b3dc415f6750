"""The health of actors, by a probe through the system lane of each."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from kubeedge_actors.errors import RegistrationError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import (
    Actor,
    ActorSystem,
    Backoff,
    ChildSpec,
    Crashed,
    Intensity,
    OneForOne,
    Restart,
    StartTimedOut,
    Stopped,
    SupervisorSpec,
    ThreadsEngine,
)
from kubeedge_actors.supervisors.telemetry import health as probing
from kubeedge_actors.supervisors.telemetry.health import HealthChecker
from tests.support.waiting import PATIENCE, eventually

SLOWLY = Backoff(initial=60.0, immediate_retries=0)


class Patient(Module):
    """Stays in a message until it is let out, or crashes."""

    name = "patient"

    def __init__(self, entered: threading.Event, leave: threading.Event) -> None:
        self._entered, self._leave = entered, leave

    @on
    def stay(self, _: str) -> None:
        self._entered.set()
        self._leave.wait(PATIENCE)

    @on
    def fail(self, _: int) -> None:
        raise ValueError("as asked")


class HealthEnv:
    """One patient."""

    def __init__(self) -> None:
        self.entered, self.leave, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.runtime = ActorSystem(ThreadsEngine())
        self.runtime.events.subscribe(lambda event: self.ended.set() if isinstance(event, Crashed | Stopped) else None)

    def start(self, restart: Restart = Restart.PERMANENT) -> HealthChecker:
        spec = Patient.spec(lambda: Patient(self.entered, self.leave), backoff=SLOWLY, restart=restart)
        self.runtime.start(SupervisorSpec("root", [spec], OneForOne(Intensity(max_restarts=10, period=10.0))))
        return HealthChecker(self.runtime)


@pytest.fixture
def env() -> Iterator[HealthEnv]:
    env = HealthEnv()
    yield env
    env.leave.set()
    env.runtime.stop(PATIENCE)


def test_an_actor_that_answers_is_ok_and_says_how_fast(env: HealthEnv) -> None:
    (health,) = env.start().check(timeout=PATIENCE).values()
    assert health.state == "ok"
    assert health.answered is not None and health.answered > 0
    assert health.age >= 0


def test_one_that_does_not_come_back_from_a_message_is_hung_and_gets_no_heap_of_probes(
    env: HealthEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "HUNG_SECONDS", 0.05)
    prober = env.start()
    env.runtime.ref("patient").tell("in")
    assert env.entered.wait(PATIENCE)
    for _ in range(5):
        health = prober.check(timeout=0.05)["patient"]
    assert (health.state, health.answered) == ("hung", None)
    assert health.age >= 0.05
    assert len(env.runtime.cell("patient").mailbox.system_queue) == 1
    env.leave.set()
    assert prober.check(timeout=PATIENCE)["patient"].state == "ok"


def test_one_that_has_just_begun_to_work_is_not_hung(env: HealthEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "HUNG_SECONDS", PATIENCE)
    prober = env.start()
    env.runtime.ref("patient").tell("in")
    assert env.entered.wait(PATIENCE)
    assert prober.check(timeout=0.0)["patient"].state == "ok"


def test_one_that_waits_for_its_next_start_is_restarting(env: HealthEnv) -> None:
    prober = env.start()
    env.runtime.ref("patient").tell(1)
    assert env.ended.wait(PATIENCE)
    assert prober.check(timeout=0.0)["patient"].state == "restarting"


def test_one_whose_start_does_not_come_back_is_hung_and_those_behind_it_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "HUNG_SECONDS", 0.05)
    leave, slow = threading.Event(), threading.Event()

    class Blocked(Actor):
        def on_start(self) -> None:
            leave.wait(PATIENCE)

    system = ActorSystem(ThreadsEngine())
    system.events.subscribe(lambda event: slow.set() if isinstance(event, StartTimedOut) else None)
    children = [ChildSpec("blocked", Blocked), ChildSpec("behind", Actor)]
    own = SupervisorSpec("own", children, start_timeout=0.1)
    try:
        system.start(SupervisorSpec("root", [own]))
        assert slow.is_set()
        checker = HealthChecker(system)
        eventually(lambda: checker.check(timeout=PATIENCE)["blocked"].state == "hung", "blocked is hung")
        health = checker.check(timeout=PATIENCE)
        assert health["behind"].state == "ok"
        assert health["blocked"].age >= 0.05
        leave.set()
        assert system.ref("blocked").name == "blocked"
        system.snapshot("blocked", PATIENCE).get()
        assert HealthChecker(system).check(timeout=PATIENCE)["blocked"].state == "ok"
    finally:
        leave.set()
        system.stop(PATIENCE)


def test_one_that_is_not_started_again_is_down(env: HealthEnv) -> None:
    prober = env.start(Restart.TRANSIENT)
    env.runtime.cell("patient").mailbox.post_system(lambda: None)
    with env.runtime.decision_lock():
        env.runtime.cell("patient").stop(terminate=True)
    assert env.ended.wait(PATIENCE)
    down = prober.check()["patient"]
    assert (down.state, down.age < PATIENCE) == ("down", True)


def test_who_is_not_there_is_a_mistake(env: HealthEnv) -> None:
    with pytest.raises(RegistrationError, match="nobody"):
        env.start().check(["nobody"])
