"""The table of docs/reference/mqtt.md, executed cell by cell with paho and with mosquitto's clients."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import kubeedge_actors
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from tests.support.mqtt_clients import Paho
from tests.support.processes import child
from tests.support.waiting import PATIENCE, eventually

PAGE = Path(kubeedge_actors.__file__).parents[1] / "docs" / "reference" / "mqtt.md"
ROW = re.compile(r"^\| ([012]) \| ([012]) \|((?: [-012] \|){6})$", re.M)
COLUMNS = ("connected", "away", "away clean", "retained", "away killed", "retained killed")
END = "m/end"
Heard = dict[str, int]
Hear = Callable[[], Heard]


def cells(column: str) -> dict[tuple[int, int], str]:
    """What the page says."""
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len(rows) == 9
    at = COLUMNS.index(column)
    return {(int(said), int(granted)): each.split(" | ")[at].strip(" |") for said, granted, each in rows}


class Pahos:
    """Clients by paho."""

    def publish(self, port: int, topic: str, qos: int, retain: bool) -> None:
        with closing(_Leaving(Paho(port))) as client:
            client.paho.publish(topic, b"x", qos, retain)

    def subscribe(self, port: int, name: str, qos: int, clean: bool) -> None:
        """Subscribe and leave."""
        with closing(_Leaving(Paho(port, name, clean=clean))) as client:
            client.paho.subscribe("m/+", qos)

    @contextmanager
    def hearing(self, port: int, name: str, qos: int, clean: bool) -> Iterator[Hear]:
        """Come, subscribe, hear until the end."""
        with closing(_Leaving(Paho(port, name, clean=clean))) as client:
            client.paho.subscribe("m/+", qos)

            def hear() -> Heard:
                heard: Heard = {}
                while (message := client.paho.hear()).topic != END:
                    heard[message.topic] = message.qos
                return heard

            yield hear


class _Leaving:
    def __init__(self, paho: Paho) -> None:
        self.paho = paho
        paho.connect()

    def close(self) -> None:
        self.paho.disconnect()


class Mosquittos:
    """The command line clients of mosquitto."""

    def publish(self, port: int, topic: str, qos: int, retain: bool) -> None:
        extra = ("-r",) if retain else ()
        run("mosquitto_pub", port, "-q", str(qos), "-t", topic, "-m", "x", *extra)

    def subscribe(self, port: int, name: str, qos: int, clean: bool) -> None:
        """Subscribe and leave."""
        run("mosquitto_sub", port, "-q", str(qos), "-t", "m/+", "-i", name, "-E", *(() if clean else ("-c",)))

    @contextmanager
    def hearing(self, port: int, name: str, qos: int, clean: bool) -> Iterator[Hear]:
        """Come, subscribe, hear until the end."""
        extra = ("-i", name, "-W", str(int(PATIENCE)), "-F", "%t %q", *(() if clean else ("-c",)))
        command = ("mosquitto_sub", "-p", str(port), "-q", str(qos), "-t", "m/+", *extra)
        with child(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")

            def hear() -> Heard:
                heard: Heard = {}
                for line in lines:
                    topic, delivered = line.split()
                    if topic == END:
                        return heard
                    heard[topic] = int(delivered)
                raise AssertionError("mosquitto_sub has ended")

            yield hear


def run(program: str, port: int, *arguments: str) -> None:
    subprocess.run((program, "-p", str(port), *arguments), check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)


@pytest.fixture(params=["paho", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def clients(request: pytest.FixtureRequest) -> Pahos | Mosquittos:
    return Pahos() if request.param == "paho" else Mosquittos()


@contextmanager
def serving(path: Path) -> Iterator[EmbeddedBroker]:
    with closing(EmbeddedBroker(port=0, path=path)) as broker:
        broker.start()
        yield broker


def killed(path: Path) -> Path:
    """The files as a `kill -9` at this moment would leave them."""
    folder = path.parent / "killed"
    folder.mkdir()
    for each in path.parent.glob("mqtt.db*"):
        shutil.copy(each, folder)
    return folder / path.name


def compare(column: str, granted: int, heard: Heard) -> None:
    wanted = {f"m/{said}": int(cell) for (said, qos), cell in cells(column).items() if qos == granted and cell != "-"}
    assert heard == wanted


def say(clients: Pahos | Mosquittos, port: int, retain: bool = False) -> None:
    for qos in (0, 1, 2):
        clients.publish(port, f"m/{qos}", qos, retain)


def hear_the_rest(
    clients: Pahos | Mosquittos, broker: EmbeddedBroker, column: str, granted: int, *, clean: bool
) -> None:
    """Have the client come, and everything else end."""
    name = f"s{granted}"
    with clients.hearing(broker.port, name, granted, clean) as hear:
        sessions = broker._core.sessions
        eventually(lambda: (one := sessions.get(name)) and one.send and one.filters, "it is there")
        if column == "connected":
            say(clients, broker.port)
        broker.publish(END, b"x", 2)  # the hand-shake of QoS 2 takes longer: it has to be in line with the others
        compare(column, granted, hear())


@pytest.mark.parametrize("granted", [0, 1, 2])
def test_a_client_that_is_connected(clients: Pahos | Mosquittos, tmp_path: Path, granted: int) -> None:
    with serving(tmp_path / "mqtt.db") as broker:
        hear_the_rest(clients, broker, "connected", granted, clean=True)


@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("column", ["away", "away clean", "away killed"])
def test_a_client_that_is_away(clients: Pahos | Mosquittos, tmp_path: Path, column: str, granted: int) -> None:
    path, clean = tmp_path / "mqtt.db", column == "away clean"
    with serving(path) as broker:
        clients.subscribe(broker.port, f"s{granted}", granted, clean)
        say(clients, broker.port)
        if column != "away killed":
            hear_the_rest(clients, broker, column, granted, clean=clean)
            return
        path = killed(path)
    with serving(path) as broker:
        hear_the_rest(clients, broker, column, granted, clean=clean)


@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("column", ["retained", "retained killed"])
def test_a_client_that_subscribes_later(clients: Pahos | Mosquittos, tmp_path: Path, column: str, granted: int) -> None:
    path = tmp_path / "mqtt.db"
    with serving(path) as broker:
        say(clients, broker.port, retain=True)
        if column == "retained":
            hear_the_rest(clients, broker, column, granted, clean=True)
            return
        path = killed(path)
    with serving(path) as broker:
        hear_the_rest(clients, broker, column, granted, clean=True)
