"""However one of the two commands ends, its last line on standard error says why, and its exit status is right."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kubeedge_actors.assembly.datadir import DataDir
from tests.support.processes import child
from tests.support.waiting import PATIENCE

FRAME = """
import logging, signal, sys, threading
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started with, such as nohup
from kubeedge_actors.errors import DriverError, UsageError
from kubeedge_actors.entrypoint import log_to_stderr, run
log_to_stderr("warning")
def thread(name):
    def fail():
        raise ValueError("boom")
    it = threading.Thread(target=fail, name=name)
    it.start()
    it.join()
def body(ending):
    {body}
    ending.wait(10)
    assert ending.requested
sys.exit(run("edge", body))
"""


def ended(body: str) -> tuple[int, list[str]]:
    """Exit status, and the lines on standard error."""
    script = FRAME.format(body=body)
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stderr.splitlines()


def test_no_thread_that_computes_keeps_the_others_from_their_turn_for_python_s_five_milliseconds() -> None:
    assert ended("assert sys.getswitchinterval() == 0.0005; ending.request()") == (0, ["edge: ended"])


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ("raise UsageError('--name: no')", 2, "edge: --name: no"),
        ("raise DriverError('the disk is full')", 1, "edge: the disk is full"),
        ("raise KeyError('x')", 1, "edge: a defect: KeyError: 'x'"),
        ("raise MemoryError", 1, "edge: a defect: MemoryError"),
        ("ending.request('the supervision tree gave up: x')", 1, "edge: the supervision tree gave up: x"),
        ("thread('link')", 1, "edge: a defect has ended the thread link: ValueError: boom"),
        ("thread('watch-pods')", 1, "edge: a defect has ended the thread watch-pods: ValueError: boom"),
        ("ending.request()", 0, "edge: ended"),
        *(
            (f"signal.raise_signal(signal.{name})", 0, f"edge: ended by {name}")
            for name in ("SIGTERM", "SIGINT", "SIGHUP")
        ),
    ],
)
def test_the_last_line_says_why_it_ended(body: str, status: int, sentence: str) -> None:
    found, lines = ended(body)
    assert (found, lines[-1]) == (status, sentence)


def test_a_defect_has_its_traceback_before_the_sentence() -> None:
    for body in ("raise KeyError('x')", "thread('timers')"):
        assert any(line.startswith("  Traceback") for line in ended(body)[1])


def test_a_thread_that_serves_one_client_ends_alone_and_is_logged() -> None:
    status, lines = ended("thread('control-client'); ending.request()")
    assert (status, lines[-1]) == (0, "edge: ended")
    assert "the thread control-client has ended by a defect" in lines[0]


def test_a_command_whose_work_is_done_says_no_more() -> None:
    script = "import sys; from kubeedge_actors.entrypoint import run; sys.exit(run('token', lambda ending: print('t')))"
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "t\n", "")


def test_a_fault_in_native_code_says_where() -> None:
    status, lines = ended("signal.raise_signal(signal.SIGSEGV)")
    assert status == -signal.SIGSEGV
    assert lines[0].startswith("Fatal Python error: Segmentation fault")


def test_who_was_killed_is_named_at_the_next_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    script = "import os, sys; from pathlib import Path; from kubeedge_actors.assembly.datadir import DataDir;"
    script += " d = DataDir(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    with child((sys.executable, "-c", script, str(tmp_path))) as killed:
        assert killed.wait(PATIENCE) == -signal.SIGKILL
    DataDir(tmp_path).close()
    assert f"process {killed.pid}, which used {tmp_path} before, was killed" in caplog.text
    caplog.clear()
    DataDir(tmp_path).close()
    assert not caplog.text


def test_nohup_is_obeyed() -> None:
    early = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nfrom kubeedge_actors.entrypoint import Shutdown"
    script = FRAME.format(body="signal.raise_signal(signal.SIGHUP); ending.request()").replace(
        "log_to_stderr(", early + "\nlog_to_stderr(", 1
    )
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "edge: ended")
