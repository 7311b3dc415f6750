"""docs/tutorial/first-module.md is executed: its modules, its test, its commands, and what it says that they show."""

from __future__ import annotations

import ast
import os
import queue
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TextIO

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

import kubeedge_actors
from kubeedge_actors.control import SOCKET
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.demo.environment import read_first_line, terminate
from tests.support.mqtt_clients import leave
from tests.support.plugins.ports import free_ports
from tests.support.plugins.requirements import lacks
from tests.support.processes import child
from tests.support.waiting import PATIENCE, WHOLE_PROGRAM

ROOT = Path(kubeedge_actors.__file__).parent.parent
PAGE = (ROOT / "docs" / "tutorial" / "first-module.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```python (\S+)\n(.*?)^```$", PAGE, re.M | re.S)
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S) for line in block.splitlines()]
SHOWN = re.findall(r"^```\n(\S+) (\S+)\n```$", PAGE, re.M)


def command(beginning: str, number: int = 0) -> list[str]:
    """The words of the n-th command of the page that begins like this; our Python in place of `python`."""
    words = shlex.split([line for line in COMMANDS if line.startswith(beginning)][number])
    return [sys.executable, *words[1:]] if words[0] == "python" else words


class Node:
    """The reader's folder, the edge in it, and an MQTT client in place of mosquitto's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        self.heard: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self.subscribed: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.process: subprocess.Popen[str] | None = None
        self.client = self._client()

    def _client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_subscribe = lambda *_: self.subscribed.put(None)
        client.on_message = lambda _, __, message: self.heard.put((message.topic, message.payload.decode()))
        return client

    def start(self, number: int = 0) -> None:
        """The n-th edge command of the page, on a free port, until it is ready and somebody listens to alarms."""
        given = command("python -m kubeedge_actors.edge", number)
        words = [str(self.port) if word == "1883" else word for word in given]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                words, cwd=self.folder, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment()
            )
        assert read_first_line(self.process.stdout, PATIENCE).startswith("ready"), (self.folder / "log").read_text()
        self.client = self._client()
        self.client.connect("127.0.0.1", self.port)
        self.client.subscribe(command("mosquitto_sub")[-1])
        self.client.loop_start()
        self.subscribed.get(timeout=PATIENCE)

    def stop(self) -> None:
        """Ctrl-C."""
        leave(self.client)
        if self.process is not None:
            terminate(self.process)

    def publish(self, number: int) -> None:
        """The n-th `mosquitto_pub` of the page."""
        words = command("mosquitto_pub", number)
        self.client.publish(words[words.index("-t") + 1], words[words.index("-m") + 1], qos=1).wait_for_publish(
            PATIENCE
        )

    @contextmanager
    def events(self) -> Iterator[TextIO]:
        """What happens to the actors, a line each; from a restart of one on, so that nothing is missed."""
        with socket.socket(socket.AF_UNIX) as watcher, closing(ControlClient(self.folder / "E" / SOCKET)) as control:
            watcher.settimeout(PATIENCE)
            watcher.connect(str(control.path))
            watcher.sendall(b'{"cmd":"events"}\n')
            while not select.select([watcher], [], [], 0.05)[0]:
                control.ask("restart", actor="inventory")
            with watcher.makefile() as lines:
                yield lines
            control.ask("deadletters")  # those in the making are in the file after it

    def run(self, words: list[str]) -> str:
        """What a command prints; it has to succeed."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def environment(self) -> dict[str, str]:
        """As if the package were installed."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

    def write(self, number: int) -> None:
        """The n-th file of the page."""
        name, text = FILES[number]
        (self.folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    for number in range(3):
        node.write(number)
    yield node
    node.stop()


@pytest.mark.parametrize("number", [0, 2])
def test_the_modules_of_the_page_are_the_examples(number: int) -> None:
    name, text = FILES[number]
    example = ast.parse((ROOT / "examples" / name).read_text(encoding="utf-8"))
    assert ast.get_docstring(example)
    assert ast.dump(ast.Module(example.body[1:], [])) == ast.dump(ast.parse(text))


def test_the_test_of_the_page_passes(node: Node) -> None:
    assert "2 passed" in node.run([*command("python -m pytest"), "-p", "no:cacheprovider"])


def test_the_count_of_the_page_counts_once(node: Node) -> None:
    for number in (4, 5):
        node.write(number)
    assert "1 passed" in node.run([*command("python -m pytest", 1), "-p", "no:cacheprovider"])


def test_the_module_raises_an_alarm_fails_is_repaired_and_gets_its_letter_again(node: Node) -> None:
    node.start()
    node.publish(0)
    assert node.heard.get(timeout=PATIENCE) == SHOWN[0]
    with node.events() as events:
        node.publish(1)
        assert any('"DeadLettered"' in line for line in events)
    node.publish(0)  # it goes on with the next one
    assert node.heard.get(timeout=PATIENCE) == SHOWN[0]
    assert re.search(
        r"^1 .* alarm +TwinUpdated +3 .*float", node.run(command("python -m kubeedge_actors deadletters list")), re.M
    )
    assert "ValueError: could not convert" in node.run(command("python -m kubeedge_actors deadletters show"))
    assert "alarm" in node.run(command("python -m kubeedge_actors.dashboard"))
    assert re.search(r"^alarm +ok ", node.run(command("python -m kubeedge_actors control health")), re.M)
    assert node.run(command("python -m kubeedge_actors control restart")) == "alarm: restarted\n"
    node.stop()
    node.write(3)
    node.start()
    node.run(command("python -m kubeedge_actors deadletters replay"))
    assert node.heard.get(timeout=PATIENCE) == SHOWN[2]


def test_the_next_message_to_the_module_is_followed(node: Node) -> None:
    node.start()
    words = command("python -m kubeedge_actors control trace")
    with (
        child(words, cwd=node.folder, stdout=subprocess.PIPE, text=True, env=node.environment()) as following,
        closing(ControlClient(node.folder / "E" / SOCKET)) as control,
    ):
        while not control.ask("trace")["on"]:
            assert following.poll() is None
        node.publish(0)
        out, _ = following.communicate(timeout=PATIENCE)
    (shown,) = re.findall(r"^```\n(id    time.*?)^```$", PAGE, re.M | re.S)
    assert [_hop(line) for line in out.splitlines()] == [_hop(line) for line in shown.splitlines()]


def _hop(line: str) -> list[str]:
    """What is the same each time: who, to whom, what, and how it ended."""
    return [*line.split()[2:5], line.split()[-1]]


def test_the_same_module_runs_in_a_process_of_its_own(node: Node) -> None:
    (settings,) = re.findall(r"^```yaml modules.yaml\n(.*?)^```$", PAGE, re.M | re.S)
    (node.folder / "modules.yaml").write_text(settings, encoding="utf-8")
    node.start(2)
    node.publish(3)  # no more than the limit
    node.publish(4)
    assert node.heard.get(timeout=PATIENCE) == SHOWN[0]
    assert node.heard.empty()
    killed = _pid(node)
    os.kill(killed, signal.SIGKILL)
    node.publish(4)
    assert node.heard.get(timeout=PATIENCE) == SHOWN[0]
    assert _pid(node) != killed
    health = node.run(command("python -m kubeedge_actors control health"))
    assert re.search(r"^alarm \(pid \d+, .*\) +ok ", health, re.M)


def _pid(node: Node) -> int:
    """The process of the module called alarm."""
    with closing(ControlClient(node.folder / "E" / SOCKET)) as control:
        (own,) = (each for each in control.ask("tree")["tree"]["children"] if each["name"] == "modules")
    return next(int(each["pid"]) for each in own["children"] if each["name"] == "alarm")


def test_the_installation_of_the_page_works(tmp_path: Path) -> None:
    clone, home = tmp_path / "clone", tmp_path / "home"
    hidden = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "kubeedge_actors", clone / "kubeedge_actors", ignore=hidden)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    home.mkdir()
    create, install, go = (line for line in COMMANDS if line.startswith(("python3 -m venv", "pip install .", "mkdir")))
    # the libraries come from this installation; pip fetches no more than what builds ours
    (library,) = {str(Path(pytest.__file__).parent.parent)}
    lend = f"echo {library} > $(echo ~/kubeedge/lib/python3*/site-packages)/lent.pth"
    where = "python -c 'import kubeedge_actors; print(kubeedge_actors.__file__)'"
    script = "\n".join(["set -e", create, lend, install, go, where])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ("bash", "-c", script),
        cwd=clone,
        env={**os.environ, "HOME": str(home), "PATH": path, "PIP_NO_COMPILE": "1"},
        capture_output=True,
        text=True,
        timeout=WHOLE_PROGRAM,
        check=False,
    )
    if "No matching distribution found for setuptools" in done.stderr:
        lacks("index")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith(str(home / "kubeedge"))
