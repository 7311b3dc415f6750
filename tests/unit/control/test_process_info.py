"""What a process knows of itself beside its tree."""

from __future__ import annotations

import os
from pathlib import Path

from kubeedge_actors import __version__
from kubeedge_actors.control.process_info import ProcessInfo, databases, usage, with_usage


def test_databases_are_counted_with_their_logs(tmp_path: Path) -> None:
    for name, size in (("edge.db", 100), ("edge.db-wal", 20), ("edge.db-shm", 7), ("deadletters.db", 3), ("token", 9)):
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "gone.db").symlink_to(tmp_path / "nowhere")
    assert databases(tmp_path) == {"deadletters.db": 3, "edge.db": 120}


def test_a_process_tells_who_it_is_and_what_it_uses(tmp_path: Path) -> None:
    info = ProcessInfo("edge", "e1", tmp_path)()
    assert info["link"] == {"state": "none"}
    assert "traffic" not in info
    process = info["process"]
    assert (process["side"], process["name"], process["version"], process["pid"]) == (
        "edge",
        "e1",
        __version__,
        os.getpid(),
    )
    assert process["rss"] > 1_000_000 and process["cpu"] > 0


def test_link_and_traffic_are_asked_for_each_time(tmp_path: Path) -> None:
    seen = {"up": {"twin/twin": {"messages": 1, "bytes": 10}}}
    process_info = ProcessInfo("cloud", "c", tmp_path, lambda: {"directions": len(seen)}, lambda: seen)
    assert process_info()["link"] == {"directions": 1}
    seen["down"] = {"edgecontroller/node": {"messages": 2, "bytes": 20}}
    assert process_info()["link"] == {"directions": 2}
    assert process_info()["traffic"]["down"] == {"edgecontroller/node": {"messages": 2, "bytes": 20}}


def test_an_actor_with_a_process_of_its_own_is_told_with_what_that_uses() -> None:
    here = {"name": "a", "pid": os.getpid(), "host": ""}
    others = [{"name": "b"}, {"name": "c", "pid": 0, "host": ""}, {"name": "d", "pid": os.getpid(), "host": "press-2"}]
    (first, *rest) = with_usage({"name": "root", "children": [here, *others]})["children"]
    assert first["rss"] > 1_000_000 and first["cpu"] > 0
    assert rest == others


def test_a_process_that_has_ended_uses_nothing() -> None:
    assert usage(2**22 + 1) == {}
