"""The plug-in that fails tests for what they leave behind, tried on small suites of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAD = """
import socket, sqlite3, subprocess, sys, tempfile, threading
import pytest
KEPT = []
"""


@pytest.fixture(autouse=True)
def found(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite of a test finds the plug-in."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in (
        "PYTEST_ADDOPTS",
        "CI",
        "BUILD_NUMBER",
    ):  # with the last two pytest repeats whole messages in its summary
        monkeypatch.delenv(name, raising=False)


def run(pytester: pytest.Pytester, text: str, *options: str) -> pytest.RunResult:
    """Run a suite of one file, in its order, in a process of its own."""
    pytester.makepyfile(test_it=HEAD + text)
    plain = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "tests.support.plugins.leaks", "-o", "leak_grace=0.3")
    return pytester.runpytest_subprocess(*plain, *options)


LEFT = {
    "thread": ("KEPT.append(threading.Thread(target=threading.Event().wait, name='forgotten')); KEPT[-1].start()", "'forgotten'"),
    "process": ("KEPT.append(subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE))", "input()"),
    "socket": ("KEPT.append(socket.create_server(('127.0.0.1', 0)))", "listens at ('127.0.0.1'"),
    "SQLite": ("KEPT.append(sqlite3.connect(f'left{len(KEPT)}.db')); KEPT[-1].execute('CREATE TABLE t (a)')", "left"),
    "temporary": ("tempfile.mkdtemp(prefix='forgotten-')", "forgotten-"),
}  # fmt: skip


ENDS = {"passes": "pass", "fails": "assert False", "skips": "pytest.skip('no reason')"}
CASES = [(kind, end) for kind in LEFT for end in ENDS]


def test_who_leaves_something_behind_fails_by_name_and_the_next_test_is_not_hit(pytester: pytest.Pytester) -> None:
    text = "".join(
        f"def test_{kind}_{end}():\n    {LEFT[kind][0]}\n    {ENDS[end]}\n\ndef test_after_{kind}_{end}():\n    pass\n\n"
        for kind, end in CASES
    )
    result = run(pytester, text)
    result.assert_outcomes(passed=20, failed=5, skipped=5, errors=15)
    sections = result.stdout.str().split("ERROR at teardown of ")
    for (kind, end), section in zip(CASES, sections[1:], strict=True):
        assert section.startswith(f"test_{kind}_{end} ")
        (left,) = (line for line in section.splitlines() if line.startswith(f"  {kind} "))
        assert LEFT[kind][1] in left


def test_what_a_test_left_is_ended(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_leaves():
    KEPT.append(subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE))
    KEPT.append(socket.create_server(('127.0.0.1', 0)))
    KEPT.append(threading.Thread(target=spin, daemon=True))
    KEPT[-1].start()
    KEPT.append(tempfile.mkdtemp())

def spin():
    while True:
        threading.Event().wait(0.01)

def test_next():
    import os
    process, server, thread, folder = KEPT
    assert process.wait() is not None
    with socket.socket() as client:
        assert client.connect_ex(server.getsockname()) != 0 if server.fileno() < 0 else True
    assert not thread.is_alive()
    assert not os.path.exists(folder)
    server.detach()
    process.stdin.close()
""",
    )
    result.assert_outcomes(passed=2, errors=1)


def test_a_thread_of_a_library_in_c_that_python_comes_to_know_late_is_left_alone(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
import _thread
END, KNOWN, ALIVE = threading.Event(), threading.Event(), threading.Event()

def receive():
    threading.current_thread()
    KNOWN.set()
    END.wait()
    ALIVE.set()

def test_makes_it_known():
    _thread.start_new_thread(receive, ())
    assert KNOWN.wait(10)

def test_next():
    END.set()
    assert ALIVE.wait(10)
""",
    )
    result.assert_outcomes(passed=2)


def test_what_is_ending_has_its_time(pytester: pytest.Pytester) -> None:
    text = "def test_ends():\n    threading.Timer(0.5, lambda: None).start()\n"
    run(pytester, text, "-o", "leak_grace=60").assert_outcomes(passed=1)


def test_what_fixtures_of_a_wider_scope_hold_is_theirs(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.fixture(scope="module")
def server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()
        workers = []

        def serve():
            workers.append(threading.Thread(target=over.wait))
            workers[-1].start()
            over.wait()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener
        over.set()
        thread.join()
        workers[0].join()

def test_one(server):
    pass

def test_another(server):
    pass
""",
    )
    result.assert_outcomes(passed=2)


def test_what_a_process_of_a_wider_scope_starts_is_its_own(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.fixture(scope="module")
def loop():
    process = subprocess.Popen(["sh", "-c", "while :; do sleep 0.05; done"])
    yield process
    process.kill()
    process.wait()

def test_one(loop):
    pass

def test_another(loop):
    KEPT.append(subprocess.Popen(["sleep", "100"]))
""",
    )
    result.assert_outcomes(passed=2, errors=1)
    assert "sleep 100" in result.stdout.str() and "sleep 0.05" not in result.stdout.str().split("left behind")[1]


def test_a_fixture_that_fails_after_it_began_is_told_of(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.fixture
def server():
    KEPT.append(socket.create_server(("127.0.0.1", 0)))
    pytest.skip("too late")

def test_it(server):
    pass
""",
    )
    result.assert_outcomes(skipped=1, errors=1)
    result.stdout.fnmatch_lines(["left behind:", "*socket*listens*"])


def test_an_interrupted_suite_ends_what_it_began(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_it():
    KEPT.append(subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE))
    raise KeyboardInterrupt
""",
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["the tests have left behind:", "*process*input()*"])


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_what_a_fixture_of_the_whole_suite_leaves_fails_the_suite(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    text = """
@pytest.fixture(scope="session")
def server():
    KEPT.append(socket.create_server(("127.0.0.1", 0)))

def test_it(server):
    pass
"""
    result = run(pytester, text, *options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*left behind:", "*socket*listens*"])
