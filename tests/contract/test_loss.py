"""What every driver promises when its other side goes away for long or short, hangs, comes back, and comes back empty: one suite
for the real drivers, over real sockets and files, and for the fakes. Docker's is in tests/unit/drivers/containers/test_docker_outage.py,
that of links in test_link_loss.py.
"""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.env.loss.base import LossEnv
from tests.support.env.loss.broker import ExternalBrokerEnv, FakeBrokerEnv
from tests.support.env.loss.cluster import FakeClusterEnv, KubernetesEnv
from tests.support.env.loss.store import FakeStoreEnv, SqliteEnv
from tests.support.waiting import PATIENCE, eventually

WAYS = {
    "mosquitto": ExternalBrokerEnv.ways,
    "embedded": ExternalBrokerEnv.ways,
    "fake broker": FakeBrokerEnv.ways,
    "kubernetes": KubernetesEnv.ways,
    "fake cluster": FakeClusterEnv.ways,
    "sqlite": SqliteEnv.ways,
    "fake store": FakeStoreEnv.ways,
}
FAKES: dict[str, Callable[[], LossEnv]] = {
    "fake broker": FakeBrokerEnv,
    "fake cluster": FakeClusterEnv,
    "fake store": FakeStoreEnv,
}
SERVERS = ["mosquitto", "embedded", "kubernetes"]
"""Those with another process, or thread, on the other side of a socket."""
AT_MOST_KIB = 64


def _make(kind: str, folder: Path, patch: pytest.MonkeyPatch, *, patient: bool = False) -> LossEnv:
    if kind in ("mosquitto", "embedded"):
        return ExternalBrokerEnv(kind, folder, patch, patient)
    if kind == "kubernetes":
        return KubernetesEnv(folder, patch, patient)
    if kind == "sqlite":
        return SqliteEnv(folder, patch)
    return FAKES[kind]()


def _marked(kind: str) -> object:
    return pytest.param(kind, marks=pytest.mark.mosquitto) if kind == "mosquitto" else kind


def _each_way() -> list[object]:
    pairs = [(kind, way) for kind, ways in WAYS.items() for way in ways]
    marks = {"mosquitto": [pytest.mark.mosquitto]}
    return [pytest.param(kind, way, marks=marks.get(kind, []), id=f"{kind}-{way}") for kind, way in pairs]


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def env(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LossEnv]:
    made = _make(kind, tmp_path, monkeypatch)
    yield made
    made.close()


@pytest.fixture
def patient(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LossEnv]:
    """A driver that has an hour for whatever it waits for."""
    made = _make(kind, tmp_path, monkeypatch, patient=True)
    yield made
    made.close()


def threads() -> int:
    """Those of the product."""
    return sum(not thread.name.startswith(("relay", "paho")) for thread in threading.enumerate())


@pytest.mark.parametrize("seconds", [1, 60])
@pytest.mark.parametrize(("kind", "way"), _each_way(), indirect=["kind"])
def test_what_it_took_is_not_lost_and_the_outage_is_said_once_with_its_end(
    env: LossEnv, way: str, seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    env.use("before")
    env.go_away(way)
    taken = {"before", *(text for text in ("first", "second") if env.takes(text))}
    if env.hears:
        env.happen("meanwhile")
    env.outlast(seconds)
    busy, tries = threads(), len(env.waits.asked)
    env.come_back()
    eventually(lambda: env.takes("after"), "it takes again what it is given")
    eventually(lambda: env.arrived() >= taken | {"after"}, "what it took is on the other side")
    if env.hears:
        eventually(lambda: "meanwhile" in env.heard(), "it tells what happened meanwhile")
    assert threads() <= busy
    if env.longest:
        eventually(lambda: env.said(caplog) == ["away", "back"], "the outage is said once, and its end")
        assert max(env.waits.asked) <= env.longest
        assert len(env.waits.asked) <= tries + 2, "it is there at the first or second try after the return"


@pytest.mark.parametrize("kind", [_marked(kind) for kind in SERVERS], indirect=True)
def test_a_long_outage_costs_nothing(env: LossEnv, caplog: pytest.LogCaptureFixture) -> None:
    env.go_away("stop")
    env.outlast(300)
    busy, held = threads(), 0
    tracemalloc.start()
    try:
        before = _held()
        env.outlast(600)
        held = _held() - before
    finally:
        tracemalloc.stop()
    assert held < AT_MOST_KIB << 10
    assert threads() <= busy
    assert env.said(caplog) == ["away"]
    assert len(env.waits.asked) <= 900 / env.longest * 2 + 10


def _held() -> int:
    """Bytes that the product has allocated and not given back."""
    gc.collect()
    kept = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/kubeedge_actors/*")])
    return sum(trace.size for trace in kept.traces)


@pytest.mark.parametrize("way", ["stop", "hang"])
@pytest.mark.parametrize("kind", [_marked(kind) for kind in SERVERS], indirect=True)
def test_another_one_that_knows_nothing_is_told_and_asked_everything_again(env: LossEnv, way: str) -> None:
    for number in range(20):  # so that the other one's history is shorter
        env.use(f"old-{number}")
    eventually(lambda: len(env.arrived()) >= 20, "all of it is there")
    env.go_away(way)
    env.outlast(1)
    env.come_back_empty()
    eventually(lambda: env.takes("after"), "it takes again what it is given")
    eventually(lambda: "after" in env.arrived(), "what it took is on the other side")
    env.happen("there")
    eventually(lambda: "there" in env.heard(), "it tells what happens there")
    eventually(lambda: not any(text.startswith("old") for text in env.heard()), "what is gone is not there any more")


@pytest.mark.parametrize("moment", ["connected", "connecting"])
@pytest.mark.parametrize("kind", [_marked(kind) for kind in SERVERS], indirect=True)
def test_it_ends_although_the_other_side_hangs(patient: LossEnv, moment: str) -> None:
    patient.go_away("hang")
    relay = patient.relay  # type: ignore[attr-defined]
    if moment == "connecting":
        before = relay.accepted
        relay.cut()
        eventually(lambda: relay.accepted > before, "it tries to connect")
    ending = threading.Thread(target=patient.stop, name="stop")
    ending.start()
    ending.join(PATIENCE)
    assert not ending.is_alive()
