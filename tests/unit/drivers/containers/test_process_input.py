"""The input of a container of the process runtime: it outlives edges and clients, and holds none of them up."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.containers.base import ExecStream
from kubeedge_actors.drivers.containers.shim.container_input import ContainerInput
from tests.support.env.containers import FOREVER, ProcessContainersEnv
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.processes
HOLDS_AND_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from kubeedge_actors.drivers.containers.shim.container_input import ContainerInput
ContainerInput(Path(sys.argv[1])).write(b"one\\n")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ProcessContainersEnv]:
    made = ProcessContainersEnv(tmp_path)
    yield made
    made.close()


def folder_of(bench: ProcessContainersEnv) -> Path:
    (folder,) = bench.root.glob("*/containers/*/*")
    return folder


def ending(attached: ExecStream, how: str) -> threading.Thread:
    """Another thread that gives the stream up."""
    thread = threading.Thread(target=getattr(attached, how))
    thread.start()
    return thread


@pytest.mark.parametrize("how", ["kill", "close"])
def test_a_writer_to_a_container_that_does_not_read_can_be_ended(bench: ProcessContainersEnv, how: str) -> None:
    one = bench.run(FOREVER, stdin=True)
    attached = bench.runtime.attach(one.id, stdin=True)
    writer = threading.Thread(target=attached.write, args=(b"x" * (1 << 20),))
    writer.start()
    writer.join(0.1)
    assert writer.is_alive(), "it waits for the container"
    ending(attached, how).join(PATIENCE)
    writer.join(PATIENCE)
    assert not writer.is_alive()
    attached.close()
    attached.write(b"more")
    assert bench.state(one.id).phase == "running"


def test_much_input_arrives_whole(bench: ProcessContainersEnv) -> None:
    one = bench.run(("/usr/bin/wc", "-c"), stdin=True, stdin_once=True)
    attached = bench.runtime.attach(one.id, stdin=True)
    attached.write(b"x" * 1_000_000)
    attached.close_input()
    assert bench.await_end(one.id).exit_code == 0
    attached.close()
    assert b"".join(bench.runtime.logs(one.id)).strip() == b"1000000"


def test_who_writes_to_a_container_that_has_closed_its_input_does_not_wait(bench: ProcessContainersEnv) -> None:
    one = bench.run(("/bin/sh", "-c", "exec <&-; echo closed; exec sleep 1000"), stdin=True)
    bench.await_output(one.id, b"closed")
    attached = bench.runtime.attach(one.id, stdin=True)
    attached.write(b"x" * (1 << 20))
    attached.close()


def test_with_stdin_once_the_death_of_an_edge_with_a_client_ends_the_input(bench: ProcessContainersEnv) -> None:
    one = bench.run(("/bin/cat",), stdin=True, stdin_once=True)
    command = [sys.executable, "-c", HOLDS_AND_IS_KILLED, str(folder_of(bench))]
    done = subprocess.run(command, timeout=PATIENCE, check=False)
    assert done.returncode == -signal.SIGKILL
    assert bench.await_end(one.id).exit_code == 0
    assert b"".join(bench.runtime.logs(one.id)) == b"one\n"


def test_what_was_ended_once_takes_no_more(bench: ProcessContainersEnv) -> None:
    one = bench.run(("/bin/sh", "-c", "cat; exec sleep 1000"), stdin=True, stdin_once=True)
    folder = folder_of(bench)
    first = bench.runtime.attach(one.id, stdin=True)
    first.close()
    eventually(lambda: not (folder / "stdin").exists(), "the shim has ended the input")
    second = bench.runtime.attach(one.id, stdin=True)
    second.write(b"late")
    second.close()
    assert bench.state(one.id).phase == "running"


def test_the_input_is_nobody_elses(bench: ProcessContainersEnv) -> None:
    bench.run(FOREVER, stdin=True, stdin_once=True)
    bench.run(FOREVER, name="without")
    for name in ("stdin", "stdin-once"):
        (path,) = bench.root.glob(f"*/containers/*/*/{name}")
        mode = path.stat().st_mode
        assert stat.S_ISFIFO(mode) and stat.S_IMODE(mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_container_of_another_user_may_open_its_input(bench: ProcessContainersEnv) -> None:
    one = bench.run(("/bin/cat", "/dev/stdin"), working_dir="/", user="1234:7", stdin=True, stdin_once=True)
    attached = bench.runtime.attach(one.id, stdin=True)
    attached.write(b"heard\n")
    attached.close_input()
    ended = bench.await_end(one.id)
    attached.close()
    assert (ended.exit_code, b"".join(bench.runtime.logs(one.id))) == (0, b"heard\n")


def test_a_folder_without_input_gives_none(tmp_path: Path) -> None:
    none = ContainerInput(tmp_path)
    none.write(b"lost")
    none.end()
    none.close()
