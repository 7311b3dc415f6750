"""The embedded broker alone: what it costs that QoS 1 and 2 are committed before they are acknowledged.

    python benchmarks/broker.py [--json] [--count N]

A publisher with a window says messages that a client with a kept session waits for, away or connected, and messages that
nobody has to remember. The baseline is one SQLite transaction a message in the same run. Both ends speak packets over
sockets; they are in this process, the broker is in another one.

Then 10,000 messages with QoS 1 as fast as a socket takes them, to one reader (paho): how many arrive of those that were
acknowledged, and how fast; with mosquitto as the baseline, in the same run, where it is installed.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from _rows import Row, show

from kubeedge_actors.drivers.broker import packets

TAKES = 30
SERVER = """
import signal, sys
from pathlib import Path
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
broker = EmbeddedBroker(port=0, path=Path(sys.argv[1]))
broker.start()
print(broker.port, flush=True)
signal.pause()
"""
WINDOWS = (1, 32, 256)
PAYLOAD = b"x" * 100
BATCH = 900
"""Messages that may wait for a client that is away, so that none is dropped."""


@contextmanager
def server(folder: str) -> Iterator[int]:
    """A broker in a process of its own; its port."""
    command = (sys.executable, "-c", SERVER, str(Path(folder) / "mqtt.db"))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


class Peer:
    """A connected client."""

    def __init__(self, port: int, name: str, *, clean: bool, nagle: bool = False) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, not nagle)
        self._decoder = packets.Decoder()
        self._early: list[packets.Packet] = []
        self.say(packets.encode_connect(name, 0, clean_session=clean))
        _, *self._early = self.hear()

    def say(self, data: bytes) -> None:
        """Send packets."""
        self._socket.sendall(data)

    def hear(self) -> list[packets.Packet]:
        """The next packets, at least one."""
        found, self._early = self._early, []
        while not found:
            data = self._socket.recv(65_536)
            assert data, "the broker has closed the connection"
            found = list(self._decoder.feed(data))
        return found

    def close(self) -> None:
        """Leave without a word."""
        self._socket.close()


def published(port: int, topic: str, window: int, count: int) -> float:
    """Seconds until `count` messages with QoS 1 were acknowledged."""
    with closing(Peer(port, "publisher", clean=True)) as peer:
        begin, said, acknowledged = time.perf_counter(), 0, 0
        while acknowledged < count:
            more = min(window - (said - acknowledged), count - said)
            peer.say(
                b"".join(
                    packets.encode_publish(topic, PAYLOAD, 1, packet_id=(said + n) % 60_000 + 1) for n in range(more)
                )
            )
            said += more
            acknowledged += len(peer.hear())
        return time.perf_counter() - begin


def slowed(port: int, count: int = 200) -> float:
    """Milliseconds from a publication with QoS 1 until it is heard, by a client as paho and mosquitto_pub are: with
    Nagle's algorithm on, so that it waits for TCP's acknowledgement before its second packet in a row.
    """
    with closing(Peer(port, "slowed", clean=True, nagle=True)) as peer:
        peer.say(packets.encode_subscribe(1, [("slowed", 1)]))
        peer.hear()
        begin = time.perf_counter()
        for number in range(1, count + 1):
            peer.say(packets.encode_publish("slowed", PAYLOAD, 1, packet_id=number))
            awaited = {packets.PUBLISH, packets.PUBACK}
            while awaited:
                for each in peer.hear():
                    awaited.discard(each.kind)
                    if each.kind == packets.PUBLISH:
                        peer.say(packets.encode_ack(packets.PUBACK, packets.read_publish(each).packet_id))
        return (time.perf_counter() - begin) / count * 1_000


def drained(peer: Peer, count: int) -> None:
    """Acknowledge this many messages."""
    while count > 0:
        found = [packets.read_publish(each) for each in peer.hear() if each.kind == packets.PUBLISH]
        peer.say(b"".join(packets.encode_ack(packets.PUBACK, each.packet_id) for each in found))
        count -= len(found)


def plain_commits(folder: str, count: int = 1_000) -> float:
    """Messages a second when each is a transaction of its own."""
    with closing(sqlite3.connect(Path(folder) / "plain.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = wal")
        database.execute("PRAGMA synchronous = full")
        database.execute("CREATE TABLE IF NOT EXISTS message (payload BLOB)")
        begin = time.perf_counter()
        for _ in range(count):
            database.execute("INSERT INTO message VALUES (?)", (PAYLOAD,))
        return count / (time.perf_counter() - begin)


def away(port: int, window: int, count: int) -> float:
    """The rate while the receiver is away; it fetches what waits between the measured parts."""
    took, done = 0.0, 0
    while done < count:
        took += published(port, "kept/away", window, BATCH)
        done += BATCH
        with closing(Peer(port, "away", clean=False)) as peer:
            drained(peer, BATCH)
    return done / took


def connected(port: int, window: int, count: int) -> float:
    """The rate while the receiver, whose session is kept, is there: until it has each part."""
    with closing(Peer(port, "there", clean=False)) as peer:
        begin = time.perf_counter()
        for _ in range(count // BATCH):
            reader = threading.Thread(target=drained, args=(peer, BATCH), daemon=True)
            reader.start()
            published(port, "kept/there", window, BATCH)
            reader.join(30)
        return count // BATCH * BATCH / (time.perf_counter() - begin)


def remember(port: int, name: str, topic: str) -> None:
    """Subscribe and leave."""
    with closing(Peer(port, name, clean=False)) as peer:
        peer.say(packets.encode_subscribe(1, [(topic, 1)]))
        peer.hear()


@contextmanager
def mosquitto(folder: str) -> Iterator[int]:
    """A mosquitto with its own limits; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = Path(folder) / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nuser root\n", "utf-8")
    with subprocess.Popen(("mosquitto", "-c", str(config)), stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_it_listens(port)
            yield port
        finally:
            process.terminate()


def wait_until_it_listens(port: int) -> None:
    """TimeoutError after ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")


def flooded(port: int, count: int) -> tuple[int, float]:
    """How many of `count` messages that were all acknowledged a paho reader has got, and messages a second until its last one."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    heard: list[float] = []
    subscribed, ended = threading.Event(), threading.Event()
    reader = Client(CallbackAPIVersion.VERSION2, "reader")
    reader.on_message = lambda _c, _u, m: ended.set() if m.payload == b"end" else heard.append(time.perf_counter())
    reader.on_subscribe = lambda *_: subscribed.set()
    reader.connect("127.0.0.1", port)
    reader.subscribe("flood", 1)
    reader.loop_start()
    assert subscribed.wait(10)
    begin = time.perf_counter()
    with closing(Peer(port, "flooder", clean=True)) as peer:
        said = b"".join(packets.encode_publish("flood", PAYLOAD, 1, packet_id=n + 1) for n in range(count))
        threading.Thread(target=peer.say, args=(said,), daemon=True).start()
        acknowledged = 0
        while acknowledged < count:
            acknowledged += len(peer.hear())
        while not ended.wait(0.1):  # it may be dropped, too
            peer.say(packets.encode_publish("flood", b"end", 1, packet_id=60_001))
    reader.disconnect()
    reader.loop_stop()
    return len(heard), len(heard) / (heard[-1] - begin)


def flood_rows(folder: str, ours: int, count: int = 10_000) -> list[Row]:
    """Ours, with mosquitto as the baseline where there is one."""
    arrived, rate = flooded(ours, count)
    if shutil.which("mosquitto") is None:
        theirs: tuple[int | None, float | None] = (None, None)
    else:
        with mosquitto(folder) as port:
            theirs = flooded(port, count)
    name = f"{count:,} acknowledged at full speed, one paho reader"
    return [
        Row(f"{name}: arrive", arrived, "", str(count), theirs[0], arrived / theirs[0] if theirs[0] else None),
        Row(f"{name}: rate", rate, "1/s", None, theirs[1], rate / theirs[1] if theirs[1] else None),
    ]


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON list")
    parser.add_argument("--count", type=int, default=4_500, help="messages a window")
    count = parser.parse_args().count
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=".") as folder, server(folder) as port:
        rows.append(Row("QoS 1, there and back, Nagle's algorithm on", slowed(port), "ms", "<= 30"))
        for name in ("away", "there"):
            remember(port, name, f"kept/{name}")
        for window in WINDOWS:
            few, baseline = BATCH if window == 1 else count, plain_commits(folder)
            for name, rate in (
                ("nobody remembers it", few / published(port, "free", window, few)),
                ("receiver away", away(port, window, few)),
                ("receiver connected, session kept", connected(port, window, few)),
            ):
                rows.append(Row(f"QoS 1, window {window}: {name}", rate, "1/s", None, baseline, rate / baseline))
        rows += flood_rows(folder, port)
    show("Acknowledged publications through the embedded broker", rows)


if __name__ == "__main__":
    main()
