"""Letters in one SQLite file: bounded, written without holding anybody up, and never in the way."""

from __future__ import annotations

import logging
import queue
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from kubeedge_actors.drivers.store import dead_letters
from kubeedge_actors.drivers.store.dead_letters import DeadLetterDb, DeadLetterRow, DeadLetterWriter
from kubeedge_actors.errors import StoreCorrupt, StoreError
from tests.support.waiting import PATIENCE


def row(text: str) -> DeadLetterRow:
    return DeadLetterRow("echo", "me", "builtins:str", f'"{text}"', text, "why", "an error", "a traceback", 3, 12.5)


def test_what_is_written_is_read_in_order_by_anybody(tmp_path: Path) -> None:
    DeadLetterDb(tmp_path / "letters.db").add([row("a"), row("b")])
    letters = DeadLetterDb(tmp_path / "letters.db").all()
    assert [letter.payload for letter in letters] == ["a", "b"]
    assert letters[0] == DeadLetterDb(tmp_path / "letters.db").get(letters[0].id)
    assert (letters[0].error, letters[0].traceback, letters[0].deliveries, letters[0].at) == (
        "an error",
        "a traceback",
        3,
        12.5,
    )


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    DeadLetterDb(tmp_path / "letters.db").add([row("a")])
    assert stat.S_IMODE((tmp_path / "letters.db").stat().st_mode) == 0o600


def test_a_file_that_is_not_there_has_no_letters_and_is_not_made(tmp_path: Path) -> None:
    file = DeadLetterDb(tmp_path / "letters.db")
    assert (file.all(), file.get(1), file.drop(1), file.clear(), file.evicted_count()) == ([], None, False, 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_go_and_are_counted(tmp_path: Path) -> None:
    file = DeadLetterDb(tmp_path / "letters.db", capacity=3)
    for text in "abcde":
        file.add([row(text)])
    assert [letter.payload for letter in file.all()] == ["c", "d", "e"]
    assert file.evicted_count() == 2


def test_a_number_is_never_used_again(tmp_path: Path) -> None:
    file = DeadLetterDb(tmp_path / "letters.db")
    file.add([row("a")])
    assert file.drop(1)
    assert not file.drop(1)
    file.add([row("b")])
    assert [letter.id for letter in file.all()] == [2]


def test_a_replayed_letter_says_so(tmp_path: Path) -> None:
    file = DeadLetterDb(tmp_path / "letters.db")
    file.add([row("a"), row("b")])
    file.mark_replayed(1, 99.0)
    assert [letter.replayed for letter in file.all()] == [99.0, 0.0]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letters.db"
    path.write_text("this is no database, it is a text that is long enough to be taken for one" * 20)
    with pytest.raises(StoreCorrupt, match=r"letters\.db"):
        DeadLetterDb(path).all()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        DeadLetterDb(tmp_path / "nowhere" / "letters.db").add([row("a")])


def test_the_writer_sets_a_damaged_file_aside_and_begins_a_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "letters.db"
    path.write_text("this is no database, it is a text that is long enough to be taken for one" * 20)
    writer = DeadLetterWriter(DeadLetterDb(path))
    writer.add(lambda: row("a"))
    writer.close()
    assert [letter.payload for letter in DeadLetterDb(path).all()] == ["a"]
    assert "damaged" in caplog.text
    assert (tmp_path / "letters.damaged").exists()
    assert writer.lost == 0


def test_adding_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    writer, go_on, entered = (
        DeadLetterWriter(DeadLetterDb(tmp_path / "letters.db")),
        threading.Event(),
        threading.Event(),
    )

    def slow() -> DeadLetterRow:
        entered.set()
        assert go_on.wait(PATIENCE)
        return row("slow")

    writer.add(slow)
    assert entered.wait(PATIENCE)
    for number in range(1200):
        writer.add(lambda number=number: row(str(number)))  # type: ignore[misc]
    assert not writer.flush(0.01)
    go_on.set()
    assert writer.flush(30)
    assert len(DeadLetterDb(tmp_path / "letters.db").all()) == 1201
    writer.close()


def test_a_letter_after_a_quiet_time_is_written_at_once_and_those_that_follow_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "LINGER", 3600.0)
    made: queue.SimpleQueue[str] = queue.SimpleQueue()

    class Watched(DeadLetterDb):
        def add(self, rows: Sequence[DeadLetterRow]) -> None:
            super().add(rows)
            made.put(" ".join(row.payload for row in rows))

    writer = DeadLetterWriter(Watched(tmp_path / "letters.db"))
    writer.add(lambda: row("a"))
    assert made.get(timeout=PATIENCE) == "a"
    for text in "bcd":
        writer.add(lambda text=text: row(text))  # type: ignore[misc]
    assert writer.flush(10), "whoever asks does not wait for company"
    assert made.get(timeout=PATIENCE) == "b c d"
    writer.close()


def test_what_finds_the_queue_full_is_counted_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "QUEUED", 0)
    writer = DeadLetterWriter(DeadLetterDb(tmp_path / "letters.db"))
    writer.add(lambda: row("a"))
    writer.close()
    assert writer.lost == 1


def test_a_file_that_refuses_costs_letters_not_the_writer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "later"
    writer = DeadLetterWriter(DeadLetterDb(folder / "letters.db"))
    with caplog.at_level(logging.WARNING):
        writer.add(lambda: row("a"))
        assert writer.flush(10)
    assert writer.lost == 1
    assert "could not be kept" in caplog.text
    folder.mkdir()
    writer.add(lambda: row("b"))
    writer.close()
    assert [letter.payload for letter in DeadLetterDb(folder / "letters.db").all()] == ["b"]
