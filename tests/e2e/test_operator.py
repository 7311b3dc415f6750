"""An operator at a shell, and a node with a module that hangs: what the commands say is so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.control import SOCKET
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.drivers.broker.external import ExternalBroker
from tests.support.cloud_and_edge import ProcessUnderTest, ending
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, eventually

HANGING = "tests.support.fakes.hanging_module"
ELSEWHERE = "from kubeedge_actors import Module\nclass Elsewhere(Module):\n    name = 'elsewhere'\n"
SCRIPT = "import sys\nfrom kubeedge_actors.__main__ import main\nsys.exit(main())\n"


class Node:
    """An edge node with the modules, a client of its broker, and a shell."""

    def __init__(self, folder: Path, how: str = "") -> None:
        (self.port,) = free_ports(1)
        modules = ("--module", f"{HANGING}:Press{how}", "--module", f"{HANGING}:Counter")
        options = ("--name", "e", "--mqtt-port", str(self.port), "--runtime", "process", *modules)
        self.edge = ProcessUnderTest("kubeedge_actors.edge", folder / "edge", *options)

    def type(self, *words: str, status: int = 0, folder: Path | None = None) -> str:
        """Type a control command; what it says, and on which status it has to end."""
        command = (sys.executable, "-m", "kubeedge_actors.control", *words, "--data-dir", str(self.edge.data_dir))
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let the press hang, and the counter wait for it."""
        client = ExternalBroker("127.0.0.1", self.port)
        client.start()
        try:
            client.publish("press/1", b"")
            eventually(lambda: "press (hung)" in self.type_any("health"), "it is hung")
            yield
        finally:
            client.close()

    def type_any(self, *words: str) -> str:
        """The same, whatever the status."""
        command = (sys.executable, "-m", "kubeedge_actors.control", *words, "--data-dir", str(self.edge.data_dir))
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        return done.stdout + done.stderr

    @property
    def log(self) -> str:
        """What the node has logged."""
        return self.edge.log.read_text(encoding="utf-8")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    with ending(node.edge):
        node.edge.start()
        yield node


def test_a_hung_module_is_named_replaced_and_removed(node: Node) -> None:
    with node.hanging():
        said = node.type("health", status=1)
        assert said.splitlines()[-1] == "control: not ok: press (hung), counter (waits for press)"
        assert "the handler of MqttReceived does not come back" in said
        assert node.type("restart", "press") == "press: restarted\n"
        press = figures(node, "press")
        assert (press["incarnation"], press["crashes"]) == (2, 0)
        assert node.type("remove", "press") == "press: removed\n"
        assert "press (removed)" in node.type("health", status=1)
        assert node.type("add", f"{HANGING}:Press").startswith("press: added\n")
        eventually(lambda: "not ok" not in node.type_any("health"), "all is well again")


def figures(node: Node, name: str) -> dict[str, Any]:
    """What the tree says of one of the modules."""
    with closing(ControlClient(node.edge.data_dir / SOCKET)) as control:
        *_, modules = control.ask("tree")["tree"]["children"]
    return next(each for each in modules["children"] if each["name"] == name)


def test_a_hung_module_in_a_process_is_killed_when_it_is_restarted(tmp_path: Path) -> None:
    node = Node(tmp_path, "@process")
    with ending(node.edge):
        node.edge.start()
        with node.hanging():
            before = figures(node, "press")["pid"]
            assert node.type("restart", "press") == "press: restarted\n"
            assert figures(node, "press")["pid"] != before
            eventually(lambda: not Path(f"/proc/{before}").exists(), "the old process is gone")


def test_a_part_of_the_node_is_not_removed_by_mistake_and_is_missed(node: Node) -> None:
    assert "--force" in node.type("remove", "eventbus", status=1)
    assert "not ok" not in node.type("health")
    assert node.type("remove", "eventbus", "--force") == "eventbus: removed\n"
    assert "WARNING" in node.log and "an operator removes eventbus" in node.log
    said = node.type("health", status=1)
    assert said.splitlines()[-1] == "control: not ok: eventbus (removed)"
    assert "no actor is called 'evntbus'; there are: " in node.type("errors", "evntbus", status=1)


def test_a_module_is_added_from_the_folder_where_the_command_is_typed(node: Node, tmp_path: Path) -> None:
    (tmp_path / "own_elsewhere.py").write_text(ELSEWHERE)
    said = node.type("add", "own_elsewhere:Elsewhere", status=1, folder=node.edge.data_dir)
    assert "No module named 'own_elsewhere'; looked in " in said and str(node.edge.data_dir) in said
    for how in ("", "@process"):
        assert node.type("add", f"own_elsewhere:Elsewhere{how}", folder=tmp_path) == "elsewhere: added\n"
        eventually(lambda: " ok " in node.type_any("health", "elsewhere"), "it runs")
        node.type("remove", "elsewhere")
    said = node.type("add", f"{HANGING}:Deaf")
    assert "warning: deaf: Deaf.on_mqtt_received (" in said and "hanging_module.py, line " in said
    assert "Deaf.on_mqtt_received" in node.log


def test_the_console_script_finds_a_module_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "own_elsewhere.py").write_text(ELSEWHERE)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kubeedge-actors").write_text(SCRIPT)
    (port,) = free_ports(1)
    options = ("--mqtt-port", str(port), "--runtime", "process", "--module", "own_elsewhere:Elsewhere")
    edge = ProcessUnderTest("", tmp_path / "edge", "--name", "e", *options)
    edge._command = (sys.executable, str(tmp_path / "bin" / "kubeedge-actors"), "edge", *edge._command[3:])
    with ending(edge), pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        assert edge.start().startswith("ready")
