"""Whoever removes a database while it is in use does not take along what is in it: each of ours, on a real file."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeedge_actors.apiserver.storage.database import Database, Row
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.store.base import NodeOutboxRow, OutboxRow
from kubeedge_actors.drivers.store.mailboxes import MailboxFile
from kubeedge_actors.drivers.store.node_outbox import NodeOutboxDb
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.errors import StoreError
from tests.support.mqtt_clients import paho


class Kept:
    """One database: `write` makes a text durable, `texts` are those that whoever opens it finds."""

    def __init__(self, path: Path) -> None:
        self.path, self._count = path, 0

    def number(self) -> int:
        self._count += 1
        return self._count


class Store(Kept):
    def open(self) -> None:
        self._store = SqliteStore(self.path)

    def write(self, text: str) -> None:
        self._store.outbox.apply([OutboxRow(text, "")], ())

    def texts(self) -> list[str]:
        return [row.msg_id for row in self._store.outbox.pending()]

    def close(self) -> None:
        self._store.close()


class Mailboxes(Kept):
    def open(self) -> None:
        self._file = MailboxFile(self.path)
        self._file.open()

    def write(self, text: str) -> None:
        self._file.write(added=[(self.number(), "m", "", "t", text.encode())])

    def texts(self) -> list[str]:
        return [row.body.decode() for row in self._file.load("m", [seq for seq, _ in self._file.mailbox("m")])]

    def close(self) -> None:
        self._file.close()


class NodeOutbox(Kept):
    def open(self) -> None:
        self._rows = NodeOutboxDb(self.path)

    def write(self, text: str) -> None:
        self._rows.add([NodeOutboxRow("n", text, "", 1e12)])

    def texts(self) -> list[str]:
        return [row.msg_id for row in self._rows.of_node("n")]

    def close(self) -> None:
        self._rows.close()


class ApiObjects(Kept):
    def open(self) -> None:
        self._database = Database(self.path)

    def write(self, text: str) -> None:
        number = self.number()
        self._database.write([Row("pods", "default", text, number, b"{}")], number)

    def texts(self) -> list[str]:
        return sorted(row.name for row in self._database.rows())

    def close(self) -> None:
        self._database.close()


class Retained(Kept):
    """The embedded broker's, with what is retained."""

    def open(self) -> None:
        self._broker = EmbeddedBroker(port=0, path=self.path)
        self._broker.start()

    def write(self, text: str) -> None:
        with paho(self._broker.port) as client:
            client.publish(f"kept/{text}", text.encode(), 1, True)

    def texts(self) -> list[str]:
        with paho(self._broker.port) as client:
            client.subscribe("kept/#", 1)
            client.publish("kept/end", b"end", 1)
            return sorted(iter(lambda: client.hear().payload.decode(), "end"))

    def close(self) -> None:
        self._broker.close()


@pytest.fixture(params=[Store, Mailboxes, NodeOutbox, ApiObjects, Retained])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    return request.param(tmp_path / "kept.db")


def remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)


def test_a_database_that_was_removed_is_put_back_with_all_that_was_in_it(
    kept: Store, caplog: pytest.LogCaptureFixture
) -> None:
    kept.open()
    kept.write("a")
    remove(kept.path)
    kept.write("b")
    kept.write("c")
    kept.close()
    kept.open()
    assert kept.texts() == ["a", "b", "c"]
    kept.close()
    assert caplog.text.count("was removed while it was in use: it is put back") == 1
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert not [each.name for each in kept.path.parent.iterdir() if each.name.endswith(".new")]


def test_a_folder_that_was_moved_away_is_a_refusal_until_it_is_back(kept: Store, tmp_path: Path) -> None:
    if isinstance(kept, Retained):
        pytest.skip("the broker does not refuse: it acknowledges when the folder is back")
    folder = tmp_path / "data"
    folder.mkdir()
    kept.path = folder / "kept.db"
    kept.open()
    kept.write("a")
    folder.rename(tmp_path / "away")
    with pytest.raises(StoreError, match=r"kept\.db"):
        kept.write("b")
    (tmp_path / "away").rename(folder)
    kept.write("b")
    assert kept.texts() == ["a", "b"]
    kept.close()


def test_another_file_in_its_place_is_not_touched(kept: Store) -> None:
    if isinstance(kept, Retained):
        pytest.skip("the broker does not refuse: it does not acknowledge")
    kept.open()
    kept.write("a")
    remove(kept.path)
    kept.path.write_bytes(b"somebody else's")
    with pytest.raises(StoreError, match="another file has taken its place"):
        kept.write("b")
    kept.close()
    assert kept.path.read_bytes() == b"somebody else's"
