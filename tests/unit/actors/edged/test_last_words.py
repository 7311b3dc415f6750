"""What a container said before it ended, what a pod may keep on the machine, and in which order sidecars end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.drivers.containers.fake import FakeProgram
from kubeedge_actors.wire.messages import ReportEvent
from tests.support.env.edged import EdgedEnv, pod

Json = dict[str, Any]
MAIN: Json = {
    "name": "main", "image": "app:1", "command": ["/app"],
    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
}  # fmt: skip
FROM_LOG = {**MAIN, "terminationMessagePolicy": "FallbackToLogsOnError"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path)
    yield made
    made.harness.stop()


def run(bench: EdgedEnv, container: Json, **spec: Any) -> Path:
    """The file for the last words of the container, which runs."""
    bench.start().apply(pod(containers=[container], restartPolicy="Never", **spec))
    (spec_,) = bench.engine.specs.values()
    mount = spec_.mounts[-1]
    assert (mount.name, mount.target, mount.read_only) == ("termination-log", "/dev/termination-log", False)
    return Path(mount.source)


def end(bench: EdgedEnv, code: int) -> Json:
    """How the container is shown once it has ended."""
    bench.engine.end_container(bench.engine.running()[0].id, code)
    bench.harness.run()
    bench.until(lambda: bench.status("u-1").get("phase") in ("Failed", "Succeeded"))
    return dict(bench.status("u-1")["containerStatuses"][0]["state"]["terminated"])


def test_the_last_words_of_a_container_are_its_message(bench: EdgedEnv) -> None:
    file = run(bench, MAIN)
    assert (file.stat().st_mode & 0o777, file.read_bytes()) == (0o666, b"")
    file.write_bytes(b"disk full\n" + b"x" * 9000)
    message = end(bench, 3)["message"]
    assert message.startswith("disk full\n") and len(message) == 4096


@pytest.mark.parametrize(("container", "code", "message"), [
    (MAIN, 3, None),
    (FROM_LOG, 3, "it broke\n"),
    (FROM_LOG, 0, None),
])  # fmt: skip
def test_the_end_of_the_log_stands_in_for_them_where_that_is_wanted(
    bench: EdgedEnv, container: Json, code: int, message: str | None
) -> None:
    bench.engine.program = lambda spec: FakeProgram(output=b"it broke\n")
    run(bench, container)
    assert end(bench, code).get("message") == message


def test_last_words_are_known_after_a_restart_of_the_edge(bench: EdgedEnv) -> None:
    run(bench, MAIN).write_text("bye", encoding="utf-8")
    shown = end(bench, 1)
    bench.harness.crash("edged")
    bench.harness.run()
    bench.harness.advance(10.0)
    assert bench.status("u-1")["containerStatuses"][0]["state"]["terminated"] == shown
    assert shown["message"] == "bye"


def test_a_link_in_the_place_of_last_words_is_not_followed(bench: EdgedEnv, tmp_path: Path) -> None:
    file = run(bench, MAIN)
    (tmp_path / "secret").write_text("s3cret", encoding="utf-8")
    file.unlink()
    file.symlink_to(tmp_path / "secret")
    assert "s3cret" not in str(end(bench, 1))


def test_a_pod_whose_volume_grows_above_its_limit_is_evicted(bench: EdgedEnv) -> None:
    volume = {"name": "cache", "emptyDir": {"sizeLimit": "1Mi"}}
    run(bench, {**MAIN, "volumeMounts": [{"name": "cache", "mountPath": "/c"}]}, volumes=[volume])
    bench.harness.advance(20.0)
    assert len(bench.engine.running()) == 1
    folder = Path(bench.folders.make_volume("u-1", "cache"))
    (folder / "large").write_bytes(b"x" * (2 << 20))
    bench.until(lambda: bench.status("u-1").get("phase") == "Failed", seconds=15.0)
    status = bench.status("u-1")
    text = 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". '
    assert (status["reason"], status["message"]) == ("Evicted", text)
    assert bench.engine.running() == []
    assert any(event.content["reason"] == "Evicted" for event in bench.cloud.of(ReportEvent))


def test_a_container_that_writes_more_than_it_may_is_evicted(bench: EdgedEnv) -> None:
    bench.engine.disk_usage["main"] = 5 << 20
    run(bench, {**MAIN, "resources": {"limits": {"ephemeral-storage": "8Mi"}}})
    bench.harness.advance(20.0)
    assert len(bench.engine.running()) == 1
    bench.engine.disk_usage["main"] = 9 << 20
    bench.until(lambda: bench.status("u-1").get("reason") == "Evicted", seconds=15.0)


def test_sidecars_start_in_order_and_end_last_the_last_one_first(bench: EdgedEnv) -> None:
    sidecars = [{"name": name, "image": "s:1", "restartPolicy": "Always"} for name in ("proxy", "logs")]
    bench.start().apply(pod(initContainers=sidecars))
    assert [container.name for container in bench.engine.running()] == ["proxy", "logs", "main"]
    ready = {each["type"]: each["status"] for each in bench.status("u-1")["conditions"]}["ContainersReady"]
    assert ready == "True"
    ended: list[str] = []
    stop = bench.engine.end_container

    def note(container_id: str, exit_code: int = 0, reason: str = "") -> None:
        ended.append(bench.engine.containers[container_id].name)
        stop(container_id, exit_code, reason)

    bench.engine.end_container = note  # type: ignore[method-assign]
    bench.delete("u-1")
    bench.until(lambda: not bench.engine.running())
    assert list(dict.fromkeys(ended)) == ["main", "logs", "proxy"]


def test_a_sidecar_is_started_again_and_does_not_keep_a_pod_from_ending(bench: EdgedEnv) -> None:
    sidecar = {"name": "proxy", "image": "s:1", "restartPolicy": "Always"}
    bench.start().apply(pod(initContainers=[sidecar], restartPolicy="Never"))
    names = {container.name: container.id for container in bench.engine.running()}
    bench.engine.end_container(names["proxy"], 1)
    bench.until(lambda: len(bench.engine.running()) == 2)
    bench.engine.end_container(names["main"], 0)
    bench.until(lambda: bench.status("u-1")["phase"] == "Succeeded")
    bench.until(lambda: not bench.engine.running())


def test_a_failed_probe_may_have_a_grace_of_its_own(bench: EdgedEnv) -> None:
    bench.engine.program = lambda spec: FakeProgram(ignores_stop=True)
    probe = {"tcpSocket": {"port": 80}, "periodSeconds": 1, "failureThreshold": 1, "terminationGracePeriodSeconds": 4}
    bench.prober.why = "connection refused"
    bench.start().apply(pod(containers=[{**MAIN, "livenessProbe": probe}], terminationGracePeriodSeconds=600))
    first = bench.engine.running()[0].id
    bench.until(lambda: bench.engine.containers[first].phase == "exited", seconds=20.0)
