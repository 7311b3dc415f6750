"""What modules of the cloud send to nodes, and modules of nodes to the cloud, with whole processes that are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cloud_and_edge import CloudAndEdge, ProcessUnderTest
from tests.support.fakes import link_modules
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl
MODULES = "tests.support.fakes.link_modules"


class Stage(CloudAndEdge):
    """Cloud and edge with the modules of link_modules, and their files."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, "--runtime", "process", "--module", f"{MODULES}:Recorder")
        files = ("orders", "answers", "record", "receipts")
        self.orders, self.answers, self.record, self.receipts = (folder / name for name in files)
        monkeypatch.setenv(link_modules.ORDERS, str(self.orders))
        monkeypatch.setenv(link_modules.ANSWERS, str(self.answers))
        monkeypatch.setenv(link_modules.RECORD, str(self.record))
        monkeypatch.setenv(link_modules.RECEIPTS, str(self.receipts))
        self.notes = folder / "notes"
        monkeypatch.setenv(link_modules.NOTES, str(self.notes))
        options = ("--api-port", self.api, "--hub-port", self.hub, "--https-port", self.https)
        self.cloud = ProcessUnderTest(
            "kubeedge_actors.cloud",
            folder / "cloud",
            *map(str, (*options, "--tunnel-port", self.tunnel, "--module", f"{MODULES}:Courier")),
            *("--module", f"{MODULES}:Granter"),
        )

    def order(self, *lines: str) -> None:
        """Let the courier send something."""
        with self.orders.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)


def lines(path: Path) -> list[str]:
    """The lines of a file that may not be there yet."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    made = Stage(tmp_path, monkeypatch)
    yield made
    made.stop()


def test_what_is_sent_to_a_node_that_is_away_survives_a_kill_of_the_cloud_and_arrives_once(stage: Stage) -> None:
    stage.start()
    stage.order("edge-1 t live", "edge-9 t nowhere")
    eventually(lambda: lines(stage.record) == ["t live"], "the first message has arrived")
    eventually(lambda: len(lines(stage.answers)) == 2, "the courier knows what became of both")
    assert "kept edge-1 t live" in lines(stage.answers)
    (refused,) = [line for line in lines(stage.answers) if not line.startswith("kept")]
    assert refused.startswith("edge-9 t nowhere: nodeoutbox: it can not be delivered")
    assert "no node is called 'edge-9'" in refused
    assert "dead letter for nodeoutbox from courier: BusPublish" in stage.cloud.log.read_text(encoding="utf-8")
    stage.edge.kill()
    stage.order(*(f"edge-1 t {number}" for number in range(5)))
    eventually(lambda: len(lines(stage.answers)) == 7, "all of it is kept")
    stage.cloud.kill()
    stage.cloud.start()
    stage.edge.start()
    expected = ["t live", *(f"t {number}" for number in range(5))]
    eventually(lambda: lines(stage.record) == expected, "what was sent meanwhile has arrived, once and in order")


def test_messages_of_ones_own_go_down_and_up_over_kills_of_both_sides(stage: Stage) -> None:
    stage.start()
    stage.order("edge-1 order 1")
    eventually(lambda: lines(stage.receipts) == ["edge-1 1"], "the receipt of the first order")
    stage.edge.kill()
    stage.order("edge-1 order 2", "edge-1 order 3")
    eventually(lambda: len(lines(stage.answers)) == 3, "both are kept")
    stage.cloud.kill()
    stage.cloud.start()
    stage.edge.start()
    eventually(lambda: set(lines(stage.receipts)) == {f"edge-1 {number}" for number in (1, 2, 3)}, "all receipts")
    assert lines(stage.record) == ["order 1", "order 2", "order 3"]


WISH = """apiVersion: v1
kind: ConfigMap
metadata: {name: wish, namespace: default}
data: {colour: blue}
"""


def test_a_module_of_the_cloud_hears_of_objects_and_nodes_and_writes_to_the_api(stage: Stage) -> None:
    stage.start()
    stage.apply(WISH)
    eventually(lambda: stage.out("get", "configmap", "granted", "-o", "jsonpath={.data.colour}") == "blue", "granted")
    eventually(lambda: "NotFound" in lines(stage.notes), "an error with a type")
    assert {"connected edge-1", "insert wish"} <= set(lines(stage.notes))
    stage.cloud.kill()
    stage.cloud.start()
    eventually(lambda: lines(stage.notes).count("insert wish") == 2, "a new process hears of all objects")
