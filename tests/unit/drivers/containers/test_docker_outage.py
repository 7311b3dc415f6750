"""The Docker driver while its engine is away or hangs, and when it is back: a real engine behind a relay."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.containers.base import RuntimeLost, RuntimeRecovered
from tests.support.docker_engine import DockerEngine
from tests.support.env.containers import FOREVER, DockerContainersEnv
from tests.support.fakes.relay import Relay
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.docker
driver = pytest.importorskip("kubeedge_actors.drivers.containers.docker_events")
MANY_TRIES = 20
LIMIT_KIB = 64 << 10


@pytest.fixture
def bench(relay: Relay, docker_engine: DockerEngine, tmp_path: Path) -> Iterator[DockerContainersEnv]:
    made = DockerContainersEnv(relay.address, docker_engine.owner, tmp_path)
    yield made
    relay.start()
    made.close()


def told(bench: DockerContainersEnv, kind: type) -> None:
    """Wait for an event of this kind, over all others."""
    while not isinstance(bench.events.get(timeout=PATIENCE), kind):
        pass


def peak() -> int:
    """The most memory that this process has had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_an_engine_that_was_away_for_long_is_followed_again_and_the_wait_costs_no_memory(
    bench: DockerContainersEnv, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, asked = driver.check_listening, list[str]()
    monkeypatch.setattr(driver, "RETRY_SECONDS", (0.01,))

    def counting(address: str) -> None:
        asked.append(address)
        check(address)

    monkeypatch.setattr(driver, "check_listening", counting)
    kept, before = bench.run(FOREVER), peak()

    def tried_often() -> bool:
        assert peak() - before < LIMIT_KIB
        return len(asked) >= MANY_TRIES

    relay.stop()
    told(bench, RuntimeLost)
    eventually(tried_often, "it is tried again and again")
    relay.start()
    told(bench, RuntimeRecovered)
    bench.runtime.kill(kept.id)
    assert bench.await_end(kept.id).exit_code == 137, "ends are told again"
