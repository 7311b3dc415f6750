"""The log of a process: rotated by its shim, within its limits whatever is written, read and followed over rotations."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeedge_actors.drivers.containers.logs import logfile
from kubeedge_actors.drivers.containers.shim import program
from kubeedge_actors.drivers.containers.shim.program import RECORD_BYTES, RotatingLog
from kubeedge_actors.errors import ContainerError
from tests.support.env.containers import LOG_LIMITS, ProcessContainersEnv
from tests.support.plugins.hypothesis_profile import examples
from tests.support.waiting import eventually


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ProcessContainersEnv]:
    made = ProcessContainersEnv(tmp_path)
    yield made
    made.close()


def files(folder: Path) -> dict[str, bytes]:
    """What the files of a log hold."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("log*"))}


def test_a_file_that_is_full_is_put_aside_at_the_end_of_a_line(tmp_path: Path) -> None:
    log = RotatingLog(str(tmp_path), 10, 3)
    log.write(b"one\ntwo\nthree\n")
    assert files(tmp_path) == {"log": b"three\n", "log.1": b"one\ntwo\n"}
    log.write(b"four\nfive\nsix\n")
    assert files(tmp_path) == {"log": b"six\n", "log.1": b"four\nfive\n", "log.2": b"three\n"}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("log*")} == {0o600}


def test_a_line_longer_than_a_file_is_divided(tmp_path: Path) -> None:
    RotatingLog(str(tmp_path), 4, 3).write(b"abcdefghij")
    assert files(tmp_path) == {"log": b"ij", "log.1": b"efgh", "log.2": b"abcd"}
    assert b"".join(logfile.read(tmp_path / "log", None, None)) == b"abcdefghij"


def test_a_shim_goes_on_where_the_last_file_ends(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"12345678")
    RotatingLog(str(tmp_path), 10, 2).write(b"abc\n")
    assert files(tmp_path) == {"log": b"abc\n", "log.1": b"12345678"}


def test_a_disk_without_room_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    log = RotatingLog(str(tmp_path), 10, 2)
    log.write(b"lost\n")
    log._fd = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    log.write(b"kept\n")
    assert (tmp_path / "other").read_bytes() == b"kept\n"


def test_a_folder_that_was_removed_holds_nobody_up(tmp_path: Path) -> None:
    folder = tmp_path / "container"
    folder.mkdir()
    log = RotatingLog(str(folder), 10, 2)
    shutil.rmtree(folder)
    log.write(b"one\n" * 100)


@settings(max_examples=examples(60))
@given(
    texts=st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\0", b"\n")), max_size=12),
    max_size=st.integers(4, 50),
    tail=st.integers(0, 12),
    chunk=st.integers(1, 9),
)
def test_the_last_lines_are_those_of_the_whole_text(texts: list[bytes], max_size: int, tail: int, chunk: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check_last_lines(Path(folder), texts, max_size, tail, chunk)


def check_last_lines(folder: Path, texts: list[bytes], max_size: int, tail: int, chunk: int) -> None:
    log = RotatingLog(str(folder), max_size, 1_000)
    for text in texts:
        log.write(text)
    whole = b"".join(texts)
    assert all(len(part) <= max_size for part in files(folder).values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logfile, "CHUNK", chunk)
        assert b"".join(logfile.read(folder / "log", None, None)) == whole
        lines = [line + b"\n" for line in whole.split(b"\n")]
        lines = lines[:-1] if whole.endswith(b"\n") or not whole else [*lines[:-1], lines[-1][:-1]]
        assert b"".join(logfile.read(folder / "log", tail, None)) == b"".join(
            lines[len(lines) - tail :] if tail < len(lines) else lines
        )


class Minutes:
    """A clock that is a minute further each time."""

    def __init__(self) -> None:
        self.seconds = 0

    def time_ns(self) -> int:
        self.seconds += 60
        return self.seconds * 10**9


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> Minutes:
    clock = Minutes()
    monkeypatch.setattr(program, "time", clock)
    return clock


def timed(*lines: tuple[int, bytes]) -> bytes:
    """Lines with the minute at which each was written."""
    return b"".join(b"1970-01-01T00:%02d:00.000000000Z %s\n" % line for line in lines)


def test_each_line_has_the_time_at_which_it_began_also_over_rotations(tmp_path: Path, minutes: Minutes) -> None:
    log = RotatingLog(str(tmp_path), 10, 4)
    following = logfile.follow(tmp_path / "log", os.getpid(), None, None, timestamps=True)
    assert seen(following) == b""
    expected = timed((1, b"a"), (1, b"bbb"), (2, b"c"), (3, b"a line longer than a file"), (6, b"d"))
    for text in (b"a\nb", b"b", b"b\nc\n", b"a line longer than a file\n", b"d\n"):
        log.write(text)
    assert seen(following) == expected
    for tail in range(6):
        lines = expected.splitlines(keepends=True)[5 - tail :]
        assert b"".join(logfile.read(tmp_path / "log", tail, None, timestamps=True)) == b"".join(lines)
    following.close()


def test_a_log_from_a_moment_on_begins_with_the_first_line_of_then(tmp_path: Path, minutes: Minutes) -> None:
    log = RotatingLog(str(tmp_path), 20, 4)
    for number in range(12):
        log.write(b"line %d\n" % number)
    for begin in range(12):
        expected = b"".join(b"line %d\n" % number for number in range(begin, 12))
        kept = b"".join(logfile.read(tmp_path / "log", None, None))
        assert b"".join(logfile.read(tmp_path / "log", None, 60.0 * (begin + 1))) == expected[-len(kept) :]
        assert b"".join(logfile.read(tmp_path / "log", 3, 60.0 * (begin + 1))) == expected[-23:]


def test_the_times_of_a_log_are_within_limits_and_go_with_the_file_that_they_belong_to(tmp_path: Path) -> None:
    log = RotatingLog(str(tmp_path), 20_000, 3)
    for number in range(3_000):
        log.write(b"%04d" % number)
        log.write(b"\n" if number % 2 else b".\n")
    sizes = {int(path.name.partition(".")[2]): path.stat().st_size for path in tmp_path.glob("times.*")}
    assert set(sizes) == {path.stat().st_ino for path in tmp_path.glob("log*")}
    assert max(sizes.values()) < 5_000 + RECORD_BYTES
    lines = b"".join(logfile.read(tmp_path / "log", None, None, timestamps=True)).splitlines()
    assert len(lines) > 600 and lines[-1].endswith(b"Z 2999")


def test_the_log_of_a_container_of_an_earlier_version_is_read_without_times(bench: ProcessContainersEnv) -> None:
    one = bench.run(("/bin/sh", "-c", "echo alpha"))
    bench.await_end(one.id)
    for path in bench.root.glob("*/containers/*/*/times.*"):
        path.unlink()
    written = next(bench.root.glob("*/containers/*/*/log")).stat().st_mtime
    assert b"".join(bench.runtime.logs(one.id, since=written - 1)) == b"alpha\n"
    assert b"".join(bench.runtime.logs(one.id, since=written + 1)) == b""
    with pytest.raises(ContainerError, match="earlier version, which noted no timestamps"):
        bench.runtime.logs(one.id, timestamps=True)


def seen(following: Iterator[bytes]) -> bytes:
    """What is read until there is no more for now."""
    return b"".join(iter(lambda: next(following), b""))


def test_a_log_is_followed_over_rotations(tmp_path: Path) -> None:
    log = RotatingLog(str(tmp_path), 10, 4)
    log.write(b"begun\n")
    following = logfile.follow(tmp_path / "log", os.getpid(), None, None)
    assert seen(following) == b"begun\n"
    log.write(b"1\n2\n")
    assert seen(following) == b"1\n2\n"
    log.write(b"".join(b"line %d\n" % number for number in range(3)))  # into three files more
    assert seen(following) == b"line 0\nline 1\nline 2\n"
    log.write(b"x\n")
    assert seen(following) == b"x\n"
    following.close()


def test_who_follows_a_writer_that_is_too_fast_goes_on_with_what_is_left(tmp_path: Path) -> None:
    log = RotatingLog(str(tmp_path), 10, 3)
    log.write(b"begun\n")
    following = logfile.follow(tmp_path / "log", os.getpid(), 0, None)
    assert seen(following) == b""
    log.write(b"".join(b"line %03d\n" % number for number in range(100)))
    assert seen(following) == b"line 097\nline 098\nline 099\n"
    following.close()


def test_a_container_that_writes_without_end_fills_no_disk_and_is_not_held_up(bench: ProcessContainersEnv) -> None:
    one = bench.run(("/bin/sh", "-c", "yes 0123456789 | head -c 50000000; echo done"))
    (folder,) = bench.root.glob("*/containers/*/*")
    bench.await_output(one.id, b"done")
    assert bench.await_end(one.id).exit_code == 0
    sizes = {name: len(text) for name, text in files(folder).items()}
    assert sorted(sizes) == ["log", "log.1", "log.2"]
    assert max(sizes.values()) <= LOG_LIMITS.max_size
    assert b"".join(bench.runtime.logs(one.id, tail=1)).endswith(b"done\n")


def test_a_container_goes_on_writing_and_its_log_is_rotated_without_an_edge(bench: ProcessContainersEnv) -> None:
    one = bench.run(("/bin/sh", "-c", "yes 0123456789"))
    (folder,) = bench.root.glob("*/containers/*/*")
    bench.runtime.close()
    old = (folder / "log").stat().st_ino
    eventually(lambda: (folder / "log.2").exists() and (folder / "log.2").stat().st_ino != old, "the log is rotated")
    bench.again()
    bench.runtime.kill(one.id)
    assert bench.await_end(one.id).exit_code == 137


def test_each_restart_of_a_container_has_its_own_log(bench: ProcessContainersEnv) -> None:
    spec = bench.spec(("/bin/sh", "-c", "echo $WORD"), env={"WORD": "first"})
    first = bench.runtime.start(bench.runtime.create(spec).id)
    bench.await_end(first.id)
    second = bench.run(("/bin/echo", "second"), pod=spec.pod, restart_count=1)
    bench.await_end(second.id)
    assert b"".join(bench.runtime.logs(first.id)) == b"first\n"
    assert b"".join(bench.runtime.logs(second.id)) == b"second\n"
