"""Processes as containers: what survives the edge's death, what a shim leaves behind, what is said of what is not
isolated.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kubeedge_actors.drivers.containers.base import ContainerEnded, ContainerSpec, Mount, PodName, RuntimeEvent
from kubeedge_actors.drivers.containers.container_record import RECORD, ContainerRecord
from kubeedge_actors.drivers.containers.process import ProcessRuntime
from kubeedge_actors.drivers.containers.process_environment import wanted_privileges
from kubeedge_actors.drivers.containers.settings.capabilities import NAMES
from kubeedge_actors.drivers.containers.shim import launcher
from kubeedge_actors.drivers.containers.shim.program import PID
from kubeedge_actors.errors import ContainerError
from tests.support.env.containers import FOREVER, ProcessContainersEnv, exits
from tests.support.waiting import PATIENCE

STARTS_AND_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from kubeedge_actors.drivers.containers.base import ContainerSpec, PodName
from kubeedge_actors.drivers.containers.process import ProcessRuntime
runtime = ProcessRuntime(Path(sys.argv[1]))
pod = PodName(namespace="default", name="p", uid="u-1")
spec = ContainerSpec(pod=pod, name="main", image="x", hash="h", command=("/bin/sh", "-c", sys.argv[2]))
print(runtime.start(runtime.create(spec).id).id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ProcessContainersEnv]:
    made = ProcessContainersEnv(tmp_path)
    yield made
    made.close()


def killed_edge(root: Path, script: str) -> str:
    """Start a container from a process that is then killed; the container's id."""
    command = [sys.executable, "-c", STARTS_AND_IS_KILLED, str(root), script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.strip()


def test_a_process_outlives_the_kill_of_the_edge_and_its_exit_code_is_learned(tmp_path: Path) -> None:
    wait = tmp_path / "go"
    os.mkfifo(wait)
    container_id = killed_edge(tmp_path, f"read line <{wait}; exit 7")
    bench = ProcessContainersEnv(tmp_path)
    try:
        adopted = bench.state(container_id)
        assert (adopted.phase, adopted.hash, adopted.pod.uid) == ("running", "h", "u-1")
        wait.write_text("now\n", encoding="ascii")
        ended = bench.await_end(container_id)
        assert (ended.phase, ended.exit_code, ended.reason) == ("exited", 7, "Error")
        assert ended.started_at == adopted.started_at
    finally:
        bench.close()


def test_an_end_while_no_edge_was_there_is_learned_too(tmp_path: Path) -> None:
    container_id = killed_edge(tmp_path, "exit 0")
    (pid,) = [int(path.read_text(encoding="ascii").split()[0]) for path in tmp_path.glob("*/containers/*/*/pid")]
    _await_exit(pid)
    bench = ProcessContainersEnv(tmp_path)
    try:
        ended = bench.state(container_id)
        assert (ended.phase, ended.exit_code, ended.reason) == ("exited", 0, "Completed")
    finally:
        bench.close()


def _await_exit(pid: int) -> None:
    import select

    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([fd], [], [], PATIENCE)[0]
    os.close(fd)


def test_a_pid_that_somebody_else_has_by_now_is_not_ours(bench: ProcessContainersEnv, tmp_path: Path) -> None:
    container = bench.run(exits(0))
    bench.await_end(container.id)
    (folder,) = tmp_path.glob("*/containers/*/*")
    stat = Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)
    fields = stat[1].split()
    fields[19] = "12345"  # this process, but with another start time
    (folder / PID).write_text(f"{stat[0]}) {' '.join(fields)}\n", encoding="ascii")
    assert launcher.recorded_identity(folder) is not None
    assert launcher.running_identity(folder) is None


def test_after_a_restart_of_the_machine_nothing_runs_and_nobody_knows_how_it_ended(tmp_path: Path) -> None:
    bench = ProcessContainersEnv(tmp_path)
    container = bench.run(FOREVER)
    (path,) = tmp_path.glob(f"*/containers/*/*/{RECORD}")
    record = msgspec.json.decode(path.read_bytes(), type=ContainerRecord)
    path.write_bytes(msgspec.json.encode(ContainerRecord(record.container, "another-boot")))
    again = ProcessRuntime(tmp_path)
    (listed,) = again.list()
    assert (listed.phase, listed.exit_code, listed.reason) == ("exited", 255, "Unknown")
    again.close()
    third = ProcessRuntime(tmp_path)  # by then the record is of this boot
    assert [listed.sandbox_lost, *(each.sandbox_lost for each in third.list())] == [True, True]
    third.close()
    bench.runtime.kill(container.id)
    bench.await_end(container.id)
    bench.close()


def test_ps_tells_of_which_container_a_shim_is(bench: ProcessContainersEnv) -> None:
    container = bench.run(FOREVER, name="a-container-with-a-long-name")
    (folder,) = bench.root.glob("*/containers/*/*")
    identity = launcher.running_identity(folder)
    assert identity is not None
    shown = Path(f"/proc/{identity.pid}/cmdline").read_bytes().rstrip(b"\0")
    assert shown == f"kubeedge: {container.pod.namespace}/{container.pod.name}/{container.name}".encode()
    assert Path(f"/proc/{identity.pid}/comm").read_bytes() == b"kubeedge-shim\n"


def test_a_process_has_the_signals_of_a_program_that_a_shell_starts(bench: ProcessContainersEnv) -> None:
    container = bench.run(("/bin/grep", "SigIgn", "/proc/self/status"))
    bench.await_end(container.id)
    label, ignored = b"".join(bench.runtime.logs(container.id)).split()
    of_glibc = 0b11 << 31  # 32 and 33: its posix_spawn ignores them in the child when the parent has used them
    assert (label, int(ignored, 16) & ~of_glibc) == (b"SigIgn:", 0)


def test_a_container_without_a_command_is_refused_with_a_reason(bench: ProcessContainersEnv) -> None:
    with pytest.raises(ContainerError, match="no command given: the process runtime does not unpack images"):
        bench.runtime.create(bench.spec(()))
    assert bench.runtime.list() == []


def test_it_says_once_that_it_isolates_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runtime = ProcessRuntime(tmp_path)
    warnings = [record for record in caplog.records if "isolates nothing" in record.message]
    assert [record.levelname for record in warnings] == ["WARNING"]
    runtime.close()


def test_a_process_sees_its_variables_and_where_its_volumes_are(bench: ProcessContainersEnv) -> None:
    mounts = (Mount(name="my-config", source="/pods/u/volumes/my-config", target="/config"),)
    script = 'echo "$GREETING $MOUNT_MY_CONFIG $HOSTNAME $PWD"; echo "[$SECRET_OF_THE_EDGE]"'
    os.environ["SECRET_OF_THE_EDGE"] = "x"
    try:
        container = bench.run(
            ("/bin/sh", "-c", script), env={"GREETING": "hi"}, mounts=mounts, hostname="h", working_dir="/tmp"
        )
    finally:
        del os.environ["SECRET_OF_THE_EDGE"]
    bench.await_end(container.id)
    assert b"".join(bench.runtime.logs(container.id)) == b"hi /pods/u/volumes/my-config h /tmp\n[]\n"


def test_a_command_inside_has_the_environment_of_the_container(bench: ProcessContainersEnv) -> None:
    container = bench.run(FOREVER, env={"GREETING": "hi"})
    done = bench.runtime.exec_sync(container.id, ("/bin/sh", "-c", "echo $GREETING; exit 3"), 5.0)
    assert (done.exit_code, done.output) == (3, b"hi\n")


def test_a_command_that_takes_too_long_is_ended(bench: ProcessContainersEnv) -> None:
    container = bench.run(FOREVER)
    done = bench.runtime.exec_sync(container.id, ("/bin/sh", "-c", "echo begun; sleep 1000"), 0.3)
    assert (done.exit_code, done.output) == (None, b"begun\n")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"command": ("no-such-program",)}, "executable file not found"),
        ({"command": ("/etc/passwd",)}, "executable file not found"),
        ({"command": ("/bin/true",), "working_dir": "/no/such/folder"}, "not a folder"),
        ({"command": ("./no-program",)}, "./no-program can not be run: Exec format error"),
    ],
)
def test_what_can_not_be_run_says_why(bench: ProcessContainersEnv, more: dict[str, object], message: str) -> None:
    spec = msgspec.structs.replace(bench.spec(("x",)), **more)
    container = bench.runtime.create(spec)
    (folder,) = bench.root.glob("*/containers/*/*")
    (folder / "no-program").write_bytes(b"\1\2\3")
    (folder / "no-program").chmod(0o755)
    with pytest.raises(ContainerError, match=message):
        bench.runtime.start(container.id)
    assert message in bench.state(container.id).message


def test_a_program_is_found_in_the_path_of_the_container(bench: ProcessContainersEnv, tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho found\n", encoding="ascii")
    tool.chmod(0o755)
    container = bench.run(("tool",), env={"PATH": f"{tool.parent}:/bin:/usr/bin"})
    bench.await_end(container.id)
    assert b"".join(bench.runtime.logs(container.id)) == b"found\n"


def spec(**more: object) -> ContainerSpec:
    pod = PodName(namespace="default", name="p", uid=str(uuid.uuid4()))
    return ContainerSpec(**{"pod": pod, "name": "main", "image": "x", "command": ("/app",), **more})  # type: ignore[arg-type]


def test_who_is_as_the_edge_needs_nobody_to_become_somebody_else() -> None:
    assert wanted_privileges(spec()) == wanted_privileges(spec(user=str(os.geteuid()))) == {}
    assert wanted_privileges(spec(no_new_privileges=True))["no_new_privs"]


def test_another_user_or_group_needs_an_edge_that_is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for more in ({"user": "12345"}, {"user": "0"}, {"groups": (7,)}):
        with pytest.raises(ContainerError, match="needs an edge that runs as root"):
            wanted_privileges(spec(**more))
    assert wanted_privileges(spec(capabilities_dropped=("ALL",)))["dropped"] == tuple(range(len(NAMES)))


STATUS = ("/bin/sh", "-c", "grep -E '^(Uid|Gid|Groups|CapEff|CapBnd|NoNewPrivs)' /proc/self/status; exec sleep 1000")


def status(text: bytes) -> dict[str, str]:
    """The lines of /proc/self/status."""
    return {line.partition(":")[0]: " ".join(line.partition(":")[2].split()) for line in text.decode().splitlines()}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_user_groups_and_privileges_are_those_of_the_container_and_of_what_runs_beside_it(
    bench: ProcessContainersEnv,
) -> None:
    wanted = {"user": "1234:7", "groups": (8, 9), "capabilities_dropped": ("ALL",), "no_new_privileges": True}
    container = bench.run(STATUS, working_dir="/", **wanted)
    bench.await_output(container.id, b"NoNewPrivs")
    main = status(b"".join(bench.runtime.logs(container.id)))
    bench.again()  # after a restart of the edge too
    inside = bench.runtime.exec_sync(container.id, ("/bin/sh", "-c", STATUS[2].partition(";")[0]), PATIENCE)
    for seen in (main, status(inside.output)):
        assert seen["Uid"] == "1234 1234 1234 1234"
        assert (seen["Gid"], seen["Groups"], seen["NoNewPrivs"]) == ("7 7 7 7", "8 9", "1")
        assert int(seen["CapEff"], 16) == int(seen["CapBnd"], 16) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
def test_root_keeps_the_capabilities_that_are_added_and_loses_those_that_are_dropped(
    bench: ProcessContainersEnv,
) -> None:
    container = bench.run(STATUS, capabilities_dropped=("ALL",), capabilities_added=("NET_BIND_SERVICE",))
    bench.await_output(container.id, b"NoNewPrivs")
    seen = status(b"".join(bench.runtime.logs(container.id)))
    assert int(seen["CapEff"], 16) == int(seen["CapBnd"], 16) == 1 << NAMES.index("NET_BIND_SERVICE")
    assert (seen["Uid"].split()[0], seen["NoNewPrivs"]) == ("0", "0")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_user_may_open_its_output_by_name(bench: ProcessContainersEnv) -> None:
    script = "id -u >/dev/stdout; echo aside >/dev/stderr"
    container = bench.run(("/bin/sh", "-c", script), user="65534:65534", working_dir="/")
    assert bench.await_end(container.id).exit_code == 0
    assert b"".join(bench.runtime.logs(container.id)) == b"65534\naside\n"


def test_a_container_of_a_shim_that_led_its_group_is_ended_too(bench: ProcessContainersEnv) -> None:
    container = bench.run(FOREVER)
    (folder,) = bench.root.glob("*/containers/*/*")
    (folder / "main").replace(folder / "pid")  # earlier ones wrote one file, of who led the group
    bench.runtime.kill(container.id)
    assert bench.await_end(container.id).exit_code == 137


def test_no_variable_is_written_to_the_record(bench: ProcessContainersEnv, tmp_path: Path) -> None:
    bench.run(FOREVER, env={"PASSWORD": "s3cret"})
    (path,) = tmp_path.glob(f"*/containers/*/*/{RECORD}")
    assert b"s3cret" not in path.read_bytes()


def test_a_record_that_is_damaged_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "u" / "containers" / "main" / "0"
    folder.mkdir(parents=True)
    (folder / RECORD).write_bytes(b"{")
    runtime = ProcessRuntime(tmp_path)
    assert runtime.list() == []
    assert "can not be read" in caplog.text
    runtime.close()


def test_many_short_processes_are_all_told(bench: ProcessContainersEnv) -> None:
    events: queue.Queue[RuntimeEvent] = queue.Queue()
    bench.runtime.watch(events.put)
    ids = {bench.run(exits(number % 3)).id for number in range(30)}
    ended = {event.id for event in (events.get(timeout=PATIENCE) for _ in ids) if isinstance(event, ContainerEnded)}
    assert ended == ids
