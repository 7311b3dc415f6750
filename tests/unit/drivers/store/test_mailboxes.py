"""The file of durable mailboxes and stores: what it keeps when the process, the file or the disk fails."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kubeedge_actors.drivers.store.mailboxes import _SLOTS, MailboxFile
from kubeedge_actors.errors import StoreError
from tests.support.waiting import PATIENCE


def row(seq: int, mailbox: str = "a", body: bytes = b"x") -> tuple[int, str, str, str, bytes]:
    return (seq, mailbox, "sender", "builtins:str", body)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mailboxes.db"


def opened(path: Path | None) -> MailboxFile:
    file = MailboxFile(path)
    file.open()
    return file


def test_messages_and_values_are_there_again_and_private(path: Path) -> None:
    assert not MailboxFile(path).exists
    first = opened(path)
    first.write([row(1), row(2, "b"), row(3, body=b"abc")], stored={("a", "k"): b"1", ("a", "gone"): b"2"})
    first.write(removed=[1], failed={3: (2, True)}, stored={("a", "gone"): None})
    first.close()
    second = MailboxFile(path)
    assert second.exists and second.open() == 3
    assert second.mailbox("a") == [(3, 3)] and second.mailboxes() == {"a": 1, "b": 1}
    assert second.load("a", [1, 2, 3]) == [(3, "sender", "builtins:str", b"abc", 2, True)]
    assert second.stored("a", "k") == b"1" and second.stored("a", "gone") is None
    assert second.stored_items("a", "") == {"k": b"1"} and second.stored_items("b", "") == {}
    second.close()
    second.close()
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


def test_in_memory_nothing_is_kept(tmp_path: Path) -> None:
    file = opened(None)
    file.write([row(1)])
    file.holder("a")(1, 1)
    file.close()
    assert not file.exists and list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_open_refuses(path: Path) -> None:
    file = opened(path)
    file.close()
    for use in (lambda: file.mailbox("a"), lambda: file.write([row(1)]), lambda: file.stored("a", "k")):
        with pytest.raises(StoreError, match="is not open"):
            use()


def test_what_is_in_hand_is_noted_of_as_many_mailboxes_as_there_is_room_for_and_not_after_the_end(path: Path) -> None:
    file = opened(path)
    names = [f"m{number}" for number in range(_SLOTS + 1)]
    file.write([row(number, name) for number, name in enumerate(names, 1)])
    holders = [file.holder(name) for name in names]
    for number, hold in enumerate(holders, 1):
        hold(number, number)
    file.close()
    holders[0](0, 0)  # a turn that has not heard of the end
    again = opened(path)
    failed = [again.load(name, [number])[0].failed for number, name in enumerate(names, 1)]
    assert failed == [1] * _SLOTS + [0]
    again.close()


def test_a_message_in_hand_when_the_process_ends_counts_as_failed_and_of_a_batch_none(path: Path) -> None:
    first = opened(path)
    first.write([row(number, "a" if number < 4 else "b") for number in range(1, 7)])
    first.holder("a")(2, 2)
    first.holder("b")(4, 5)
    first.close()
    second = opened(path)
    assert [(each.failed, each.alone) for each in second.load("a", [1, 2, 3])] == [(0, False), (1, True), (0, False)]
    assert [(each.failed, each.alone) for each in second.load("b", [4, 5, 6])] == [(0, True), (0, True), (0, False)]
    hold = second.holder("a")
    hold(2, 2)
    hold(0, 0)
    second.close()
    third = opened(path)  # nothing was in hand any more
    assert third.load("a", [2])[0].failed == 1
    third.close()


@pytest.mark.parametrize("damage", [b"no database at all" * 100, None])
def test_a_damaged_file_is_moved_aside_and_a_new_one_is_begun(
    path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    first = opened(path)
    first.write([row(number, body=b"x" * 1_000) for number in range(1, 200)])
    first.close()
    whole = path.read_bytes()
    path.write_bytes(damage if damage is not None else whole[:8_192] + b"\xff" * 20_000 + whole[28_192:])
    second = opened(path)
    assert second.mailboxes() == {}
    second.write([row(1)])
    second.close()
    assert path.with_suffix(".damaged").exists()
    assert f"it is now {path.with_suffix('.damaged')}, and a new one is begun" in caplog.text


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    opened(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        MailboxFile(path).open()


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can not be used: No such file or directory"):
        MailboxFile(tmp_path / "nowhere" / "m.db").open()


# no file may grow beyond 600 KB: what a full disk does, without filling one
FULL = """
import logging, resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
logging.basicConfig(stream=sys.stdout, format="%(message)s")
from kubeedge_actors import ActorSystem, InlineEngine, MailboxSpec, Module, SupervisorSpec, on
from kubeedge_actors.drivers.store.mailboxes import _SLOTS, MailboxFile
seen = []
class Keeper(Module):
    name, mailbox = "keeper", MailboxSpec(durable=True)
    @on
    def on_text(self, text: str) -> None:
        seen.append(text)
        self.store.put("last", text)
system = ActorSystem(InlineEngine(), journal=MailboxFile(Path(sys.argv[1])))
system.start(SupervisorSpec("root", [Keeper.spec()]))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
told = [f"{number}" + "x" * 5_000 for number in range(200)]
taken = [text for text in told if system.ref("keeper").offer(text)]
system.ref("keeper").tell("lost" + "x" * 5_000)
system.engine.run()
system.engine.advance(0.1)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
system.engine.advance(1.0)
system.ref("keeper").tell("fine")
system.engine.run()
system.stop()
assert 0 < len(taken) < 200 and seen == [*taken, "fine"], (len(taken), len(seen))
(letter,) = system.dead_letters
print(letter.reason.name, letter.error)
again = MailboxFile(Path(sys.argv[1]))
again.open()
print(again.mailboxes(), again.stored("keeper", "last"))
"""


def test_a_full_disk_refuses_the_teller_and_ends_nobody(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "keeper does not get what it is told: the file of the durable mailbox does not take it" in done.stdout
    assert "NOT_STORED" in done.stdout
    assert done.stdout.endswith("{} b'\\xa4fine'\n")
