"""The line between hosts on which frames are pickles: who adds, changes, repeats or turns back bytes on it runs nothing."""

from __future__ import annotations

import os
import pickle
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.supervisors.engines.process.channel import NONCE, SESSION_ID, Channel, accept, connect
from kubeedge_actors.supervisors.engines.process.frame_seal import session_key
from tests.support.waiting import PATIENCE

ID, KEY = b"i" * SESSION_ID, b"k" * 32


class Planted:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


class Line:
    """Both ends over TCP, and somebody in the middle who sees what the worker says and may change it."""

    def __init__(self) -> None:
        listener, middle = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
        accepted: queue.SimpleQueue[Channel] = queue.SimpleQueue()
        self.frames: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def serve() -> None:
            sock, _ = listener.accept()
            met = accept(sock, lambda id: KEY if id == ID else None)
            assert met is not None
            accepted.put(met[1])
            met[1].receive_all(self.frames.put)
            self.frames.put("end")

        self._server = threading.Thread(target=serve)
        self._server.start()
        connected: queue.SimpleQueue[Channel] = queue.SimpleQueue()
        worker = threading.Thread(target=lambda: connected.put(connect(middle.getsockname(), ID, KEY)))
        worker.start()
        self.near, _ = middle.accept()
        self.far = socket.create_connection(listener.getsockname())
        for one in (self.near, self.far):
            one.settimeout(PATIENCE)
        self.pass_on(SESSION_ID + NONCE)
        self.near.sendall(_exactly(self.far, NONCE + NONCE))
        self.pass_on(NONCE)
        worker.join()
        self.worker, self.runtime = connected.get(), accepted.get(timeout=PATIENCE)
        for one in (listener, middle):
            one.close()

    def pass_on(self, size: int) -> bytes:
        """So many bytes of the worker, to the runtime."""
        data = _exactly(self.near, size)
        self.far.sendall(data)
        return data

    def sent(self, *frame: object) -> bytes:
        """The bytes of a frame that the worker says, not passed on."""
        self.worker.send(*frame)
        head = _exactly(self.near, 4 + 32)
        return head + _exactly(self.near, struct.unpack("!I", head[:4])[0] + 32)

    def close(self) -> None:
        for one in (self.near, self.far):
            one.close()
        self._server.join(PATIENCE)
        for channel in (self.worker, self.runtime):
            channel.discard()


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, "the line ended"
        data += part
    return data


@pytest.fixture
def line() -> Iterator[Line]:
    both = Line()
    yield both
    both.close()


def test_frames_pass_in_both_directions(line: Line) -> None:
    for number in range(3):
        line.far.sendall(line.sent("told", number))
        assert line.frames.get(timeout=PATIENCE) == ("told", number)
    taken: queue.SimpleQueue[Any] = queue.SimpleQueue()
    reader = threading.Thread(target=line.worker.receive_all, args=(taken.put,))
    reader.start()
    line.runtime.send("order", b"x" * 100_000)
    line.near.sendall(_exactly(line.far, 4 + 32 + len(pickle.dumps(("order", b"x" * 100_000), 5)) + 32))
    assert taken.get(timeout=PATIENCE) == ("order", b"x" * 100_000)
    line.near.close()
    reader.join(PATIENCE)


Attack = Callable[[bytes, bytes, bytes], bytes]
ATTACKS: dict[str, Attack] = {
    "a frame as before, without a seal": lambda bad, first, second: struct.pack("!I", len(bad)) + bad,
    "the seals of another frame": lambda bad, first, second: first[:36] + bad[: len(first) - 68] + first[-32:],
    "the payload changed": lambda bad, first, second: first[:40] + bytes([first[40] ^ 1]) + first[41:],
    "the length changed": lambda bad, first, second: struct.pack("!I", 1 << 31) + first[4:],
    "the second frame first": lambda bad, first, second: second + first,
    "zeros for a seal": lambda bad, first, second: struct.pack("!I", len(bad)) + bytes(32) + bad + bytes(32),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_the_other_side_did_not_say_is_not_unpickled(
    line: Line, attack: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = pickle.dumps(("told", Planted(tmp_path / "planted")), 5)
    line.far.sendall(ATTACKS[attack](bad, line.sent("told", 1), line.sent("told", 2)))
    line.far.shutdown(socket.SHUT_WR)
    assert line.frames.get(timeout=PATIENCE) == "end"
    assert not (tmp_path / "planted").exists()
    assert "what came from another host is not what the other side sent there: the connection ends" in caplog.text


def test_a_frame_is_taken_once(line: Line) -> None:
    first = line.sent("told", 1)
    line.far.sendall(first + first)
    assert [line.frames.get(timeout=PATIENCE) for _ in range(2)] == [("told", 1), "end"]


def test_a_frame_is_not_turned_back_to_who_said_it(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    taken: list[Any] = []
    line.near.sendall(line.sent("told", 1))
    line.worker.receive_all(taken.append)
    assert taken == [] and "the connection ends" in caplog.text


def test_the_key_of_a_session_can_not_be_had_without_the_secret() -> None:
    assert session_key(b"secret", ID) == session_key(b"secret", ID)
    assert len({session_key(b"secret", ID), session_key(b"other", ID), session_key(b"secret", b"j" * 16)}) == 3


def test_on_one_machine_frames_bear_no_seal() -> None:
    here, there = socket.socketpair()
    sender, payload = Channel(here), pickle.dumps(("told", 1), 5)
    sender.send("told", 1)
    assert there.recv(4096) == struct.pack("!I", len(payload)) + payload
    there.close()
    sender.discard()
