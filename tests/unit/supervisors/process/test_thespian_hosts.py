"""An actor on another host: two Thespian systems that form a convention, here on two addresses of one machine."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.supervisors import (
    ActorSystem,
    Backoff,
    ChildSpec,
    Crashed,
    Intensity,
    OneForOne,
    SupervisorSpec,
    ThreadsEngine,
)
from kubeedge_actors.supervisors.engines.process.launcher import Convention
from tests.support.plugins.ports import free_port
from tests.support.processes import child
from tests.support.waiting import PATIENCE, eventually
from tests.unit.supervisors.process.test_processes import Worker, runs

pytest.importorskip("thespian")

SHORT = Backoff(initial=0.05, maximum=0.05)
HERE, THERE = "127.0.0.2", "127.0.0.3"


@pytest.fixture
def convention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Convention:
    """An address for the side of the runtime."""
    monkeypatch.setenv("THESPLOG_FILE", str(tmp_path / "thespian.log"))  # else it lies beside all temporary files
    return Convention(HERE, free_port(), secrets.token_hex(16).encode())


@pytest.fixture
def runtime(convention: Convention) -> Iterator[ActorSystem]:
    """A runtime that leads the convention: with an actor of its own, so that it listens."""
    system = ActorSystem(ThreadsEngine(convention))
    tree = SupervisorSpec("root", [ChildSpec("local", Worker, isolation="process")], OneForOne(Intensity(1_000)))
    system.start(tree)
    yield system
    system.stop()


@pytest.fixture
def outpost(convention: Convention, runtime: ActorSystem, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The program that a person starts on the other host."""
    key = tmp_path / "key"
    key.write_bytes(convention.key)
    command = [sys.executable, "-m", "kubeedge_actors.supervisors.engines.process.forkserver", "--name", "press-2"]
    where = ["--listen", f"{THERE}:{free_port()}", "--convention", f"{HERE}:{convention.port}"]
    with child([*command, *where, "--key-file", str(key)], stdout=subprocess.PIPE, text=True) as outpost:
        assert outpost.stdout is not None
        assert outpost.stdout.readline().startswith("ready: host press-2")
        yield outpost
        outpost.terminate()
        assert outpost.wait(PATIENCE) == 0


def test_an_actor_runs_on_another_host_and_is_replaced_there(
    runtime: ActorSystem, outpost: subprocess.Popen[str]
) -> None:
    # it says that it is ready before the convention knows it: without a pause a thousand tries may be over by then
    ref = runtime.add(ChildSpec("far", Worker, isolation="process", host="press-2", backoff=SHORT))
    first = ref.ask("pid", PATIENCE).get()
    node = next(each for each in runtime.tree()["children"] if each["name"] == "far")
    assert (node["pid"], node["host"]) == (first, "press-2")
    os.kill(first, 9)
    second = ref.ask("pid", PATIENCE).get()
    assert second != first
    runtime.remove("far")
    eventually(lambda: not runs(second), "the process on the other host has ended")


def test_a_host_that_nobody_is_called_is_a_crash_with_a_sentence(runtime: ActorSystem) -> None:
    failed: list[Crashed] = []
    runtime.events.subscribe(lambda event: failed.append(event) if isinstance(event, Crashed) else None)
    runtime.add(ChildSpec("far", Worker, isolation="process", host="nowhere"))
    while not failed:
        runtime.ref("local").ask("pid", PATIENCE).get()
    assert "no host of the convention is called 'nowhere'" in failed[0].error
    runtime.remove("far")


def test_it_listens_on_its_own_address_only(runtime: ActorSystem, convention: Convention) -> None:
    with socket.socket() as there:
        there.bind((THERE, convention.port))  # somebody else may have the port there
    with socket.create_connection((HERE, convention.port), PATIENCE):
        return


def test_a_host_without_a_secret_is_refused(tmp_path: Path) -> None:
    from kubeedge_actors.supervisors.engines.process.forkserver import main

    (tmp_path / "key").write_text("short")
    arguments = ["--name", "x", "--listen", THERE, "--convention", HERE, "--key-file", str(tmp_path / "key")]
    assert main(arguments) == 2
