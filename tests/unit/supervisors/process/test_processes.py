"""Actors in processes of their own: killed, hung, orphaned, started badly, and told what can not be carried."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.errors import AnswerLost, RegistrationError
from kubeedge_actors.supervisors import (
    NO_BACKOFF,
    Actor,
    ActorSystem,
    ChildSpec,
    Crashed,
    Event,
    Hung,
    Intensity,
    MailboxSpec,
    OneForOne,
    Reason,
    Restarted,
    SupervisorSpec,
    ThreadsEngine,
)
from kubeedge_actors.supervisors.engines.process import launcher, placement
from kubeedge_actors.supervisors.engines.threads import ProcessEngine
from tests.support.waiting import PATIENCE, eventually

LOAD = 6_000


class Worker(Actor):
    """Hands numbers on to the keeper; does a few other things when it is told their names."""

    def receive(self, message: object) -> object:
        """Handle one message."""
        if isinstance(message, int):
            self.context.tell("keeper", message)
        elif message == "pid":
            return os.getpid()
        elif message == "hang":
            threading.Event().wait()
        elif message == "die":
            os._exit(9)
        elif message == "function":
            self.context.tell("keeper", lambda: None)
            return lambda: None
        elif message == "log":
            self.context.log.warning("said in %d", os.getpid())
        return None


class Unimportable(Worker):
    """Can not be made."""

    def __init__(self) -> None:
        raise ImportError("no module named sensor")


class NeverStarts(Worker):
    """Raises in its start hook."""

    def on_start(self) -> None:
        """Fail."""
        raise OSError("no such device")


class DiesAtStart(Worker):
    """Takes its process with it."""

    def on_start(self) -> None:
        """End the process."""
        os._exit(1)


class Keeper(Actor):
    """Keeps what it is told, in the process of the test."""

    def __init__(self, kept: list[object]) -> None:
        self.kept = kept

    def receive(self, message: object) -> object:
        """Keep it."""
        self.kept.append(message)
        return len(self.kept)


class Plant:
    """A runtime with a worker in a process of its own."""

    def __init__(self, factory: Any = Worker, **more: Any) -> None:
        self.before = set(processes_of(os.getpid()))
        self.kept: list[object] = []
        self.events: list[Event] = []
        self.runtime = ActorSystem(ThreadsEngine())
        self.changed = threading.Condition()
        self.runtime.events.subscribe(self.note)
        keeper = ChildSpec("keeper", partial(Keeper, self.kept), mailbox=MailboxSpec(2 * LOAD))
        worker = ChildSpec("worker", factory, **{"isolation": "process", "backoff": NO_BACKOFF, **more})
        self.runtime.start(SupervisorSpec("root", [keeper, worker], OneForOne(Intensity(100_000))))
        self.worker = self.runtime.ref("worker")

    def ask(self, message: object) -> Any:
        """Ask the worker."""
        return self.worker.ask(message, PATIENCE).get()

    def wait_for(self, what: Any) -> None:
        """Wait until it is so."""
        eventually(what, "what is waited for")

    def __enter__(self) -> Plant:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it: then its processes have ended already. Others of this suite may come and go meanwhile."""
        own = set(processes_of(os.getpid())) - self.before
        self.runtime.stop()
        assert not any(runs(pid) for pid in own)

    def note(self, event: Event) -> None:
        """Keep an event."""
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()


@pytest.fixture
def plant() -> Iterator[Plant]:
    """A plant that is stopped in the end."""
    with Plant() as plant:
        yield plant


def processes_of(parent: int) -> list[int]:
    """The processes under that one that run an actor or start them."""
    found: list[int] = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            text = (each / "stat").read_text()
            below = int(text.rpartition(")")[2].split()[1]) == parent
            if below and b"process.forkserver" in (each / "cmdline").read_bytes():
                found += [int(each.name), *processes_of(int(each.name))]
        except OSError:  # it has gone meanwhile, or is no process
            continue
    return found


def test_an_actor_of_one_runtime_may_live_in_a_process_and_another_on_a_thread(plant: Plant) -> None:
    pid = plant.ask("pid")
    assert pid != os.getpid()
    tree = {each["name"]: each for each in plant.runtime.tree()["children"]}
    assert (tree["worker"]["isolation"], tree["worker"]["pid"]) == ("process", pid)
    assert tree["keeper"]["isolation"] == "thread"
    assert Path(f"/proc/{pid}/comm").read_text() == "worker\n"


def test_a_worker_killed_again_and_again_under_load_loses_nothing_and_keeps_the_order() -> None:
    with Plant(max_deliveries=100, mailbox=MailboxSpec(2 * LOAD)) as plant:
        for number in range(LOAD):
            plant.worker.tell(number)
        killed = 0
        for at in range(500, LOAD, 1_000):
            plant.wait_for(lambda at=at: len(plant.kept) > at)
            os.kill(plant.runtime.tree()["children"][1]["pid"], signal.SIGKILL)
            killed += 1
            plant.wait_for(lambda count=killed: sum(type(each) is Restarted for each in plant.events) >= count)
        plant.ask("pid")
        plant.wait_for(lambda: LOAD - 1 in plant.kept)  # the keeper has its own mailbox
        numbers = [each for each in plant.kept if isinstance(each, int)]
        assert sorted(set(numbers)) == list(range(LOAD))  # nothing is lost
        assert len(numbers) - LOAD <= killed  # only the one in hand is said again
        assert list(dict.fromkeys(numbers)) == list(range(LOAD))  # in order
        assert list(plant.runtime.dead_letters) == []


def test_a_process_that_is_killed_while_idle_is_missed_at_once(plant: Plant) -> None:
    pid = plant.ask("pid")
    os.kill(pid, signal.SIGKILL)
    plant.wait_for(lambda: any(type(each) is Restarted for each in plant.events))
    (failed,) = [each for each in plant.events if isinstance(each, Crashed)]
    assert failed.error == f"ProcessDied: the process {pid} of worker has ended"
    assert plant.ask("pid") != pid


def test_a_message_that_ends_the_process_every_time_is_a_dead_letter(plant: Plant) -> None:
    with pytest.raises(AnswerLost, match="ProcessDied"):
        plant.ask("die")
    (letter,) = plant.runtime.dead_letters
    assert (letter.message, letter.reason, letter.failed_deliveries) == ("die", Reason.CRASH_LIMIT, 3)


def test_a_hung_handler_is_killed_and_its_message_comes_again() -> None:
    with Plant(handler_deadline=1.5, max_deliveries=2) as plant:
        first = plant.ask("pid")
        with pytest.raises(AnswerLost, match=r"HandlerHung"):
            plant.ask("hang")
        assert plant.ask("pid") != first
        assert [each.message for each in plant.events if isinstance(each, Hung) and each.message] == ["str", "str"]
        assert not Path(f"/proc/{first}").exists() or "Z" in Path(f"/proc/{first}/stat").read_text()


def test_a_stop_does_not_wait_for_a_handler_that_hangs() -> None:
    with Plant(shutdown=0.2) as plant:
        plant.worker.tell("hang")


@pytest.mark.parametrize(("factory", "error"), [
    (Unimportable, "ImportError: no module named sensor"),
    (NeverStarts, "OSError: no such device"),
    (DiesAtStart, "ProcessDied"),
])  # fmt: skip
def test_a_bad_start_is_a_crash_and_hangs_nobody(factory: type[Worker], error: str) -> None:
    with Plant(factory, max_deliveries=1) as plant:
        plant.wait_for(lambda: sum(type(each) is Crashed for each in plant.events) > 2)
        failed = next(each for each in plant.events if isinstance(each, Crashed))
        assert failed.phase == "start" and failed.error.startswith(error)


def test_what_can_not_be_carried_is_a_dead_letter_with_a_reason_and_no_crash(plant: Plant) -> None:
    plant.worker.tell(lambda: None)
    with pytest.raises(AnswerLost, match="the answer can not be carried from its process"):
        plant.ask("function")
    to_worker, to_keeper = plant.runtime.dead_letters
    assert (to_worker.recipient, to_worker.reason) == ("worker", Reason.NOT_SERIALIZABLE)
    assert (to_keeper.recipient, to_keeper.sender, to_keeper.reason) == ("keeper", "worker", Reason.NOT_SERIALIZABLE)
    assert "lambda" in to_keeper.error and "function" in to_keeper.payload
    assert [each for each in plant.events if isinstance(each, Crashed)] == []


def test_a_factory_made_on_the_spot_is_refused_with_a_sentence() -> None:
    with pytest.raises(RegistrationError, match="worker is to run in a process of its own, so what makes it"):
        Plant(lambda: Worker())


def test_a_host_elsewhere_without_thespian_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "find_spec", lambda name: None)
    with pytest.raises(RegistrationError, match="worker is to run on the host press-2, which needs Thespian"):
        Plant(host="press-2")


def test_what_a_module_logs_in_its_process_is_in_the_one_log(plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    pid = plant.ask("pid")
    plant.ask("log")
    plant.wait_for(lambda: f"said in {pid}" in caplog.text)
    assert caplog.records[-1].name.endswith(".worker")


def test_a_warden_that_is_killed_is_replaced_and_its_processes_end_in_the_end(plant: Plant) -> None:
    first = plant.ask("pid")
    warden = next(each for each in processes_of(os.getpid()) if each not in plant.before | {first})
    os.kill(warden, signal.SIGKILL)
    assert plant.ask("pid") == first
    os.kill(first, signal.SIGKILL)
    assert plant.ask("pid") not in (first, warden)


PARENT = """
    import threading
    from kubeedge_actors.supervisors import ChildSpec, ActorSystem, SupervisorSpec
    from kubeedge_actors.supervisors.engines.threads import ProcessEngine
    from tests.unit.supervisors.process.test_processes import Worker

    runtime = ActorSystem(ProcessEngine())
    runtime.start(SupervisorSpec("root", [ChildSpec("worker", Worker), ChildSpec("second", Worker)]))
    print(*[runtime.ref(name).ask("pid").get() for name in ("worker", "second")], flush=True)
    runtime.ref("second").tell("hang")
    threading.Event().wait()
"""


def test_when_the_parent_is_killed_no_child_is_left_even_a_busy_one() -> None:
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(PARENT)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(each) for each in parent.stdout.readline().split()]
    wardens = processes_of(parent.pid)
    assert set(pids) < set(wardens)
    parent.kill()
    parent.wait()
    eventually(lambda: not any(runs(each) for each in wardens), "all have ended")


def runs(pid: int) -> bool:
    """True unless it has ended, or waits only to be buried."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_moment_without_descriptors_does_not_close_the_door_to_further_processes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(launcher, "ACCEPT_AGAIN", 0.0)
    made = launcher.Launcher()

    class Door:
        """Refuses once for want of descriptors; then it is closed."""

        calls = 0

        def accept(self) -> None:
            self.calls += 1
            if self.calls == 2:
                made.close()
            raise OSError(errno.EMFILE, "Too many open files") if self.calls == 1 else OSError(errno.EBADF, "closed")

    made._accept_loop(door := Door())  # type: ignore[arg-type]
    assert door.calls == 2
    assert caplog.messages == ["no process of a module can be let in now: [Errno 24] Too many open files"]


def test_threads_import_nothing_of_processes() -> None:
    code = """
        import sys
        from kubeedge_actors.supervisors import Actor, ChildSpec, ActorSystem, SupervisorSpec, ThreadsEngine
        runtime = ActorSystem(ThreadsEngine())
        runtime.start(SupervisorSpec("root", [ChildSpec("a", Actor)]))
        runtime.stop()
        wrong = [each for each in sys.modules if "thespian" in each or "engines.process" in each or each == "subprocess"]
        assert not wrong, wrong
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=PATIENCE)


def test_the_hosts_engine_gives_every_actor_a_process_unless_its_spec_says_not() -> None:
    system = ActorSystem(ProcessEngine())
    system.start(SupervisorSpec("root", [ChildSpec("a", Worker), ChildSpec("b", Worker, isolation="thread")]))
    assert system.ref("a").ask("pid").get() != os.getpid()
    assert system.ref("b").ask("pid").get() == os.getpid()
    system.stop()
