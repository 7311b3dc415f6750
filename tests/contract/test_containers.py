"""The contract of container runtimes, on the fake, on processes and on Docker."""

from __future__ import annotations

import os
import queue
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from kubeedge_actors.drivers.containers.base import (
    ContainerEnded,
    ExecStream,
    LimitSupport,
    PodName,
    PodNetwork,
    RuntimeEvent,
)
from kubeedge_actors.errors import ContainerError
from tests.support.env.containers import (
    BUSY,
    DEAF,
    FOREVER,
    LOG_LIMITS,
    MISSING,
    OBEDIENT,
    ContainersEnv,
    DockerContainersEnv,
    FakeContainersEnv,
    ProcessContainersEnv,
    exits,
    writes,
)
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture(params=["fake", "process", pytest.param("docker", marks=pytest.mark.docker)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ContainersEnv]:
    made: ContainersEnv
    if request.param == "fake":
        made = FakeContainersEnv()
    elif request.param == "process":
        made = ProcessContainersEnv(tmp_path)
    else:
        engine = request.getfixturevalue("docker_engine")
        made = DockerContainersEnv(engine.address, engine.owner, tmp_path)
    yield made
    made.close()


def test_a_started_container_runs_and_is_listed_with_what_it_was_given(bench: ContainersEnv) -> None:
    before = time.time()
    one = bench.run(FOREVER, hash="abc", restart_count=3)
    listed = bench.state(one.id)
    assert (listed.phase, listed.name, listed.hash, listed.restart_count) == ("running", "main", "abc", 3)
    assert (listed.pod, listed.image, listed.finished_at) == (one.pod, bench.image, 0.0)
    assert before - 1 <= listed.started_at <= time.time() + 1
    assert listed.image_id == bench.runtime.image_id(bench.image) or bench.kind == "process"


@pytest.mark.parametrize(("code", "reason"), [(0, "Completed"), (3, "Error")])
def test_the_end_of_a_container_is_told_with_its_exit_code(bench: ContainersEnv, code: int, reason: str) -> None:
    one = bench.run(exits(code))
    ended = bench.await_end(one.id)
    assert (ended.phase, ended.exit_code, ended.reason) == ("exited", code, reason)
    assert ended.finished_at >= ended.started_at - 0.1 > 0


def test_what_a_container_uses_is_measured_and_grows(bench: ContainersEnv) -> None:
    one, ended = bench.run(BUSY), bench.run(exits(0))
    bench.await_end(ended.id)
    first = bench.runtime.usage([one.id, ended.id, "nobody"])
    assert list(first) == [one.id]

    def grown() -> bool:
        return bench.runtime.usage([one.id])[one.id].cpu_seconds > first[one.id].cpu_seconds

    eventually(grown, "more processor time")
    usage = bench.runtime.usage([one.id])[one.id]
    assert 0 < usage.working_set <= usage.memory


def test_stop_asks_and_returns_at_once(bench: ContainersEnv) -> None:
    one = bench.run(OBEDIENT)
    bench.await_output(one.id, b"ready")
    bench.runtime.stop(one.id)
    assert bench.await_end(one.id).phase == "exited"


def test_a_deaf_container_survives_stop_and_not_kill(bench: ContainersEnv) -> None:
    one = bench.run(DEAF)
    bench.await_output(one.id, b"deaf")
    bench.runtime.stop(one.id)
    assert bench.state(one.id).phase == "running"
    bench.runtime.kill(one.id)
    ended = bench.await_end(one.id)
    assert (ended.exit_code, ended.reason) == (137, "Error")


def test_what_is_gone_can_be_stopped_killed_and_removed_again(bench: ContainersEnv) -> None:
    one = bench.run(exits(0))
    bench.await_end(one.id)
    for _ in range(2):
        bench.runtime.stop(one.id)
        bench.runtime.kill(one.id)
        bench.runtime.remove(one.id)
    assert bench.runtime.list() == []


def test_a_running_container_can_be_removed(bench: ContainersEnv) -> None:
    one = bench.run(FOREVER)
    bench.runtime.remove(one.id)
    assert bench.runtime.list() == []


def test_containers_outlive_the_runtime_and_are_adopted(bench: ContainersEnv) -> None:
    running = bench.run(OBEDIENT, name="runs")
    bench.await_output(running.id, b"ready")
    ended = bench.run(exits(4), name="ends")
    before = bench.await_end(ended.id)
    old = bench.runtime
    bench.again()
    old.close()
    assert bench.state(running.id) == running
    assert bench.state(ended.id) == msgspec.structs.replace(before, ip="")  # which an engine forgets
    bench.runtime.stop(running.id)
    assert bench.await_end(running.id).phase == "exited"


def test_a_second_create_gives_the_container_that_is_there(bench: ContainersEnv) -> None:
    spec = bench.spec(FOREVER)
    one = bench.runtime.create(spec)
    assert one.phase == "created"
    assert bench.runtime.create(spec).id == one.id
    started = bench.runtime.start(one.id)
    assert bench.runtime.create(spec) == started
    assert bench.runtime.start(one.id) == started
    bench.runtime.kill(one.id)
    bench.await_end(one.id)
    with pytest.raises(ContainerError):
        bench.runtime.create(spec)


def test_a_container_that_can_not_be_started_has_ended_and_says_why(bench: ContainersEnv) -> None:
    one = bench.runtime.create(bench.spec(MISSING, name="broken"))
    with pytest.raises(ContainerError, match=r"no such|not found"):
        bench.runtime.start(one.id)
    for runtime in (bench.runtime, bench.again()):
        (found,) = runtime.list()
        assert (found.phase, found.reason) == ("exited", "StartError")
        assert found.exit_code != 0
        assert found.finished_at > 0
        runtime.close()
    bench.again().remove(one.id)


def test_only_the_last_watcher_is_told(bench: ContainersEnv) -> None:
    told: queue.Queue[RuntimeEvent] = queue.Queue()
    bench.runtime.watch(told.put)
    one = bench.run(exits(0))
    event = told.get(timeout=PATIENCE)
    assert isinstance(event, ContainerEnded)
    assert (event.id, event.pod_uid) == (one.id, one.pod.uid)
    assert bench.events.empty()


def test_a_list_can_be_of_one_pod(bench: ContainersEnv) -> None:
    one, other = bench.run(FOREVER), bench.run(FOREVER)
    assert [each.id for each in bench.runtime.list(one.pod.uid)] == [one.id]
    assert {each.id for each in bench.runtime.list()} == {one.id, other.id}


def test_logs_are_whole_or_the_last_lines(bench: ContainersEnv) -> None:
    one = bench.run(writes("alpha", "beta", "gamma"))
    bench.await_end(one.id)
    assert b"".join(bench.runtime.logs(one.id)) == b"alpha\nbeta\ngamma\n"
    assert b"".join(bench.runtime.logs(one.id, tail=2)) == b"beta\ngamma\n"
    assert b"".join(bench.runtime.logs(one.id, tail=0)) == b""
    assert b"".join(bench.runtime.logs(one.id, since=time.time() + 60)) == b""


def test_logs_are_followed_until_the_end(bench: ContainersEnv) -> None:
    one = bench.run(writes("alpha", "beta"))
    assert b"".join(bench.runtime.logs(one.id, follow=True)) == b"alpha\nbeta\n"


def test_of_a_long_log_the_newest_part_is_kept(bench: ContainersEnv) -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo line $i of the log; i=$((i+1)); done"
    one = bench.run(("/bin/sh", "-c", script))
    if bench.kind == "fake":  # it writes nothing
        return
    followed = b"".join(bench.runtime.logs(one.id, follow=True))
    bench.await_end(one.id)
    kept = b"".join(bench.runtime.logs(one.id))
    assert len(kept) <= LOG_LIMITS.max_size * LOG_LIMITS.max_files
    assert kept.startswith(b"line ") and kept.endswith(b"line 19999 of the log\n")
    if bench.kind != "docker":  # Docker's own follower leaves out what was rotated away before it was read
        assert followed.endswith(b"line 19998 of the log\nline 19999 of the log\n")
    last = b"".join(bench.runtime.logs(one.id, tail=1300)).splitlines()  # in a file of Docker there are some 700
    assert last == [b"line %d of the log" % number for number in range(18_700, 20_000)]


def test_a_followed_log_ends_when_another_thread_has_enough(bench: ContainersEnv) -> None:
    one = bench.run(DEAF)
    log = bench.runtime.logs(one.id, follow=True)
    assert b"deaf" in next(log)
    ending = threading.Timer(0.2, log.close)
    ending.start()
    assert list(log) == []
    ending.join()
    assert bench.state(one.id).phase == "running"


def test_lines_carry_the_time_at_which_they_were_written(bench: ContainersEnv) -> None:
    begun = time.time()
    one = bench.run(writes("alpha", "beta"))
    bench.await_end(one.id)
    lines = b"".join(bench.runtime.logs(one.id, timestamps=True)).decode().splitlines()
    moments, texts = zip(*(line.split(" ") for line in lines), strict=True)
    assert texts == ("alpha", "beta")
    for moment in moments:
        assert moment.endswith("Z")
        assert begun - 1 <= datetime.fromisoformat(moment).timestamp() <= time.time()


def test_a_log_is_read_from_a_moment_on(bench: ContainersEnv) -> None:
    if bench.kind == "fake":  # it writes all at its start
        return
    one = bench.run(("/bin/sh", "-c", "echo early; sleep 1; echo late; sleep 1000"))
    (early, late) = eventually(
        lambda: (lines := b"".join(bench.runtime.logs(one.id, timestamps=True)).splitlines())[1:] and lines, "two lines"
    )
    moment = datetime.fromisoformat(late.decode().split(" ")[0]).timestamp() - 0.5
    for tail in (None, 1, 2):
        assert b"".join(bench.runtime.logs(one.id, tail, moment)) == b"late\n"
    assert b"".join(bench.runtime.logs(one.id, 2, moment - 10)) == b"early\nlate\n"
    following = bench.runtime.logs(one.id, since=moment, follow=True, timestamps=True)
    assert next(following) == late + b"\n" and early < late
    following.close()


def test_a_command_runs_inside(bench: ContainersEnv) -> None:
    one = bench.run(FOREVER)
    assert bench.runtime.exec_sync(one.id, ("/bin/sh", "-c", "exit 0"), 5.0).exit_code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_container_and_what_runs_in_it_have_the_user_and_the_privileges_that_it_is_given(
    bench: ContainersEnv,
) -> None:
    one = bench.run(
        ("/bin/sh", "-c", "cat /proc/self/status; exec sleep 1000"), working_dir="/", user="1234:7", groups=(8,),
        no_new_privileges=True, capabilities_dropped=("ALL",),
    )  # fmt: skip
    if bench.kind == "fake":  # it runs nothing
        return
    bench.await_output(one.id, b"NoNewPrivs:")
    inside = bench.runtime.exec_sync(one.id, ("/bin/cat", "/proc/self/status"), PATIENCE).output
    for text in (b"".join(bench.runtime.logs(one.id)), inside):
        lines = [line.split() for line in text.decode().splitlines()]
        status = {line[0]: line[1:] for line in lines if line}
        assert (status["Uid:"][0], status["Gid:"][0], status["NoNewPrivs:"]) == ("1234", "7", ["1"])
        assert "8" in status["Groups:"]
        assert int(status["CapEff:"][0], 16) == int(status["CapBnd:"][0], 16) == 0


def test_what_a_pod_keeps_on_the_disk_is_told_by_container(bench: ContainersEnv) -> None:
    one = bench.run(OBEDIENT)
    bench.await_output(one.id, b"ready")
    if bench.kind != "fake":  # it writes nothing
        assert bench.runtime.disk_usage(one.pod.uid).keys() == {"main"}
    assert bench.runtime.disk_usage(str(uuid.uuid4())) == {}


def test_an_image_has_a_user(bench: ContainersEnv) -> None:
    assert bench.runtime.image_user(bench.image) == (str(os.geteuid()) if bench.kind == "process" else "")


def test_a_command_is_run_with_both_its_ends_in_hand(bench: ContainersEnv) -> None:
    one = bench.run(FOREVER)
    command = bench.runtime.exec(one.id, ("/bin/sh", "-c", "cat; echo aside >&2; exit 3"), stdin=True)
    command.write(b"a" * 100_000)
    command.close_input()
    said = {1: b"", 2: b""}
    while (piece := command.read())[1]:
        said[piece[0]] += piece[1]
    code = command.exit_code()
    command.close()
    if bench.kind != "fake":  # it runs nothing
        assert said == {1: b"a" * 100_000, 2: b"aside\n"}
        assert code == 3


def test_what_has_left_its_session_ends_with_its_container(bench: ContainersEnv) -> None:
    script = "mkfifo /tmp/$0; (setsid sh -c 'echo gone >/tmp/$0; exec sleep 1000' $0 &); read word </tmp/$0; echo $word; exit 0"
    one = bench.run(("/bin/sh", "-c", script, f"fifo-{uuid.uuid4().hex}"))
    if bench.kind != "fake":  # it runs nothing
        assert bench.await_end(one.id).exit_code == 0
        assert b"".join(bench.runtime.logs(one.id, follow=True)) == b"gone\n"


def test_a_command_ends_for_its_reader_when_another_thread_has_enough(bench: ContainersEnv) -> None:
    one = bench.run(FOREVER)
    read_until_killed(bench.runtime.exec(one.id, ("/bin/sleep", "1000"), stdin=False))


def read_until_killed(command: ExecStream) -> None:
    """Returns when the reader has been told the end, by another thread's `kill`."""
    ending = threading.Timer(0.2, command.kill)
    ending.start()
    while command.read()[1]:
        pass
    ending.join()
    command.close()


def test_a_command_on_a_terminal_has_its_size_and_one_output(bench: ContainersEnv) -> None:
    one = bench.run(FOREVER)
    script = "read go; test -t 0 && test -t 1 && test -t 2 && stty size; echo aside >&2; exit 3"
    command = bench.runtime.exec(one.id, ("/bin/sh", "-c", script), stdin=True, tty=True)
    command.resize(101, 33)
    command.write(b"go\n")
    said = b""
    while (piece := command.read())[1]:
        said += piece[1]
    code = command.exit_code()
    command.close()
    if bench.kind != "fake":  # it runs nothing
        assert said.splitlines()[-2:] == [b"33 101", b"aside"]
        assert code == 3


def test_a_terminal_ends_for_its_reader_when_another_thread_has_enough(bench: ContainersEnv) -> None:
    one = bench.run(FOREVER)
    read_until_killed(bench.runtime.exec(one.id, ("/bin/sleep", "1000"), stdin=True, tty=True))


def test_who_attaches_sees_what_is_written_and_leaves_the_container_running(bench: ContainersEnv) -> None:
    one = bench.run(("/bin/sh", "-c", "while true; do echo said; sleep 0.1; done"))
    attached = bench.runtime.attach(one.id, stdin=False)
    if bench.kind != "fake":  # it runs nothing
        assert b"said" in attached.read()[1]
    attached.kill()
    while attached.read()[1]:
        pass
    assert attached.exit_code() == 0
    attached.close()
    assert bench.state(one.id).phase == "running"


READS = ("/bin/sh", "-c", 'echo ready; while read line; do echo "heard $line"; done; exit 5')
"""Ends with 5 at the end of its input."""


def read_until(attached: ExecStream, word: bytes) -> None:
    said = b""
    while word not in said:
        piece = attached.read()[1]
        assert piece, f"the end, before {word!r}: {said!r}"
        said += piece


def test_input_comes_from_one_who_attaches_after_another_also_after_a_restart_of_the_edge(bench: ContainersEnv) -> None:
    one = bench.run(READS, stdin=True)
    if bench.kind == "fake":  # it runs nothing
        return
    bench.await_output(one.id, b"ready")
    for word in (b"one", b"two", b"three"):
        attached = bench.runtime.attach(one.id, stdin=True)
        attached.write(word + b"\n")
        read_until(attached, b"heard " + word)
        if word == b"two":
            attached.close_input()  # which is not the end of the container's
        attached.close()
        old = bench.runtime
        bench.again()
        old.close()
    assert bench.state(one.id).phase == "running"


@pytest.mark.parametrize("leave", ["close_input", "close"])
def test_with_stdin_once_the_input_ends_with_the_first_who_was_attached(bench: ContainersEnv, leave: str) -> None:
    one = bench.run(READS, stdin=True, stdin_once=True)
    if bench.kind == "fake":  # it runs nothing
        return
    bench.await_output(one.id, b"ready")
    old = bench.runtime
    bench.again()
    old.close()  # else it might be the one to tell the end
    attached = bench.runtime.attach(one.id, stdin=True)
    attached.write(b"one\n")
    read_until(attached, b"heard one")
    getattr(attached, leave)()
    assert bench.await_end(one.id).exit_code == 5
    attached.close()


def test_a_container_without_stdin_has_no_input(bench: ContainersEnv) -> None:
    one = bench.run(("/bin/sh", "-c", "read line; echo none; sleep 1000"))
    if bench.kind == "fake":  # it runs nothing
        return
    bench.await_output(one.id, b"none")
    attached = bench.runtime.attach(one.id, stdin=True)
    attached.write(b"one\n")
    attached.close_input()
    attached.close()
    assert bench.state(one.id).phase == "running"


def test_a_port_that_nobody_listens_at_takes_no_connection(bench: ContainersEnv) -> None:
    one = bench.run(FOREVER)
    with pytest.raises(ContainerError, match="nothing takes connections at port 1"):
        bench.runtime.dial(one.pod.uid, 1)


def test_no_command_runs_in_what_has_ended(bench: ContainersEnv) -> None:
    one = bench.run(exits(0))
    bench.await_end(one.id)
    with pytest.raises(ContainerError):
        bench.runtime.exec_sync(one.id, ("/bin/true",), 5.0)


def test_the_network_of_a_pod_is_opened_once_and_closed(bench: ContainersEnv) -> None:
    pod = PodName(namespace="default", name="p", uid=str(uuid.uuid4()))
    network = PodNetwork(pod=pod, hostname="p")
    try:
        address = bench.runtime.run_pod_sandbox(network)
        assert bench.runtime.run_pod_sandbox(network) == address
        assert bench.runtime.pod_sandboxes() <= {pod.uid}
        bench.run(FOREVER, pod=pod, name="a", network="pod")
        assert [each.ip for each in bench.runtime.list(pod.uid)] in ([address], [""])
        for one in bench.runtime.list(pod.uid):
            bench.runtime.remove(one.id)
    finally:
        bench.runtime.remove_pod_sandbox(pod.uid)
    bench.runtime.remove_pod_sandbox(pod.uid)
    assert bench.runtime.pod_sandboxes() == set()


def test_the_version_names_the_engine(bench: ContainersEnv) -> None:
    assert bench.runtime.version().startswith(f"{bench.kind}://")


def test_a_runtime_says_how_it_holds_limits(bench: ContainersEnv) -> None:
    support = bench.runtime.limit_support()
    assert support.cpu in ("cgroup", "") and support.memory in ("cgroup", "rlimit")
    assert bench.kind == "process" or support == LimitSupport(cpu="cgroup", memory="cgroup")


def test_a_limit_of_memory_holds(bench: ContainersEnv) -> None:
    grows = 'x=0123456789abcdef; while :; do x="$x$x"; done'
    one = bench.run(("/bin/sh", "-c", grows), memory=32 << 20)
    if bench.kind != "fake":  # it runs nothing
        ended = bench.await_end(one.id)
        assert ended.exit_code != 0
        assert ended.reason == ("OOMKilled" if bench.runtime.limit_support().memory == "cgroup" else "Error")


def test_an_unknown_container_is_refused_in_plain_words(bench: ContainersEnv) -> None:
    with pytest.raises(ContainerError, match=r"\w"):
        bench.runtime.start("feedfeedfeed")
