"""What the Docker driver makes of an engine's events, without an engine."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import pytest

from kubeedge_actors.drivers.containers.base import Container, ContainerEnded, PodName, RuntimeEvent
from tests.support.waiting import PATIENCE

driver = pytest.importorskip("kubeedge_actors.drivers.containers.docker_events")
forms = driver.forms
POD = PodName(namespace="default", name="p", uid="u")


class Stream:
    """An answer of the engine whose lines the test says."""

    def __init__(self) -> None:
        self.lines: queue.Queue[bytes | None] = queue.Queue()

    def say(self, action: str) -> None:
        attributes = {forms.KIND: forms.CONTAINER, forms.POD_UID: "u"}
        self.lines.put(msgspec.json.encode({"Action": action, "id": "c", "Actor": {"Attributes": attributes}}))

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def iter_lines(self) -> Iterator[bytes]:
        yield from iter(self.lines.get, None)


def container(phase: Literal["running", "exited"], reason: str = "") -> Container:
    return Container(id="c", pod=POD, name="main", image="i", hash="", restart_count=0, phase=phase, reason=reason)


@pytest.mark.parametrize(
    ("said", "looks", "told"),
    [
        (["oom", "die"], [container("running"), container("exited", "OOMKilled")], 1),
        (["die", "oom"], [container("exited", "Error"), container("exited", "OOMKilled")], 2),
        (["oom"], [container("running")], 0),
    ],
    ids=["the reason first", "the reason last", "it goes on"],
)
def test_an_end_by_memory_is_told_with_its_reason(
    said: list[str], looks: list[Container], told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, events, looked = Stream(), queue.Queue[RuntimeEvent](), queue.Queue[str]()

    def look(container_id: str) -> Container:
        looked.put(container_id)
        return looks.pop(0)

    monkeypatch.setattr(driver, "open_answer", lambda *_, **__: stream)
    monkeypatch.setattr(driver, "hang_up", lambda _: stream.lines.put(None))
    made = driver.DockerEvents(object(), "unix:///engine", "owner", look)
    made.watch(events.put)
    for action in said:
        stream.say(action)
    for _ in said:
        assert looked.get(timeout=PATIENCE) == "c"
    for _ in range(told):
        assert events.get(timeout=PATIENCE) == ContainerEnded(id="c", pod_uid="u")
    made.close()
    assert events.empty()
    assert not looks


def test_the_engine_is_asked_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(driver, "open_answer", lambda *_, **more: asked.append(more["params"]))
    driver.DockerEvents(object(), "unix:///engine", "owner", lambda _: container("running"))._events()
    assert msgspec.json.decode(asked[0]["filters"])["event"] == ["die", "oom"]
