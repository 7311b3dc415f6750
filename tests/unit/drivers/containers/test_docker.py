"""What only a Docker engine can show: images, networks, limits, mounts, several owners."""

from __future__ import annotations

import contextlib
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors.drivers.containers import docker_api as forms
from kubeedge_actors.drivers.containers.base import (
    ContainerEnded,
    ContainerSpec,
    LogLimits,
    Mount,
    PodName,
    PodNetwork,
    Port,
    Resolver,
)
from kubeedge_actors.drivers.containers.settings.host_files import merged, seccomp_profile
from kubeedge_actors.errors import ContainerConfigError, ContainerError, RuntimeUnavailable
from tests.support.docker_engine import DockerEngine
from tests.support.env.containers import FOREVER, OBEDIENT, DockerContainersEnv, exits
from tests.support.waiting import PATIENCE, eventually

POD = PodName(namespace="default", name="shop", uid=str(uuid.uuid4()))
LOGS = LogLimits(max_size=1000, max_files=3)


def test_a_container_is_described_in_dockers_words() -> None:
    spec = ContainerSpec(
        pod=POD,
        name="main",
        image="app:1",
        hash="h",
        restart_count=2,
        command=("/app",),
        args=("-v",),
        env={"A": "1"},
        hostname="shop",
        mounts=(Mount(name="v", source="/s", target="/t", read_only=True),),
        ports=(Port(container=80, host=8080), Port(container=53, host=0, protocol="udp")),
        memory=64 << 20,
        cpu=0.5,
        hosts=(("a", "192.0.2.9"),),
    )
    config = forms.container_config("me", spec, LOGS)
    assert (config["Entrypoint"], config["Cmd"], config["Env"], config["Hostname"]) == (
        ["/app"],
        ["-v"],
        ["A=1"],
        "shop",
    )
    host = config["HostConfig"]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1000", "max-file": "3"}}
    (mount,) = host["Mounts"]
    assert (mount["Source"], mount["Target"], mount["ReadOnly"]) == ("/s", "/t", True)
    assert host["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    assert (host["Memory"], host["ExtraHosts"]) == (64 << 20, ["a:192.0.2.9"])
    assert (host["CpuPeriod"], host["CpuQuota"], host["CpuShares"]) == (100_000, 50_000, 512)
    assert config["Labels"] == {
        "io.kubernetes.node.owner": "me",
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.pod.name": "shop",
        "io.kubernetes.pod.namespace": "default",
        "io.kubernetes.pod.uid": POD.uid,
        "io.kubernetes.container.name": "main",
        "io.kubernetes.container.hash": "h",
        "io.kubernetes.container.restartCount": "2",
    }


@pytest.mark.parametrize(("limit", "request_", "quota", "shares"), [
    (0.0, 0.0, None, 2),
    (64.0, 0.1, 6_400_000, 102),
    (0.001, 0.0, 1_000, 2),
])  # fmt: skip
def test_processor_time_is_as_a_kubelet_sets_it(limit: float, request_: float, quota: int | None, shares: int) -> None:
    spec = ContainerSpec(pod=POD, name="main", image="a", cpu=limit, cpu_request=request_)
    host = forms.container_config("me", spec, LOGS)["HostConfig"]
    assert (host.get("CpuQuota"), host["CpuShares"]) == (quota, shares)
    assert "NanoCpus" not in host


def test_privileges_are_those_of_the_context() -> None:
    spec = ContainerSpec(
        pod=POD, name="main", image="a", network="pod", user="1000:7", groups=(8, 9), no_new_privileges=True,
        capabilities_added=("CHOWN",), capabilities_dropped=("ALL",), seccomp="Localhost/a.json", selinux=("level:s0",),
        host_ipc=True, shares_pids=True, stop_signal="SIGUSR1",
    )  # fmt: skip
    config = forms.container_config("me", spec, LOGS, profile="{}")
    host = config["HostConfig"]
    assert (config["User"], config["StopSignal"]) == ("1000:7", "SIGUSR1")
    assert (host["GroupAdd"], host["CapAdd"], host["CapDrop"]) == (["8", "9"], ["CHOWN"], ["ALL"])
    assert host["SecurityOpt"] == ["seccomp={}", "label=level:s0", "no-new-privileges"]
    assert (host["IpcMode"], host["PidMode"]) == ("host", f"container:k8s_POD_shop_default_{POD.uid}_0")
    assert (
        forms.security_options(msgspec.structs.replace(spec, seccomp="Unconfined", selinux=()), "")[0]
        == "seccomp=unconfined"
    )
    assert forms.security_options(ContainerSpec(pod=POD, name="main", image="a", seccomp="RuntimeDefault"), "") == []


@pytest.mark.parametrize(("apparmor", "options", "refused"), [
    ("", [], False),
    ("RuntimeDefault", [], True),
    ("Unconfined", ["apparmor=unconfined"], False),
    ("Localhost/mine", ["apparmor=mine"], True),
])  # fmt: skip
def test_an_apparmor_profile_is_the_engines_or_refused(apparmor: str, options: list[str], refused: bool) -> None:
    spec = ContainerSpec(pod=POD, name="main", image="a", apparmor=apparmor)
    assert forms.security_options(spec, "") == options
    assert bool(forms.apparmor_refusal(spec, {"SecurityOptions": ["name=seccomp,profile=default"]})) == refused
    assert forms.apparmor_refusal(spec, {"SecurityOptions": ["name=apparmor"]}) == ""


def test_names_and_kernel_parameters_are_of_the_sandbox_where_there_is_one() -> None:
    names: dict[str, Any] = {
        "hosts": (("a", "192.0.2.9"),), "resolver": Resolver(servers=("192.0.2.53",), searches=("x",), options=("ndots:2",)),
        "sysctls": (("kernel.shm_rmid_forced", "1"),),
    }  # fmt: skip
    keys = ("ExtraHosts", "Dns", "DnsSearch", "DnsOptions", "Sysctls")
    own = forms.container_config("me", ContainerSpec(pod=POD, name="main", image="a", **names), LOGS)["HostConfig"]
    sandbox = forms.sandbox_config("me", PodNetwork(pod=POD, **names), "pause")["HostConfig"]
    assert [own[key] for key in keys] == [sandbox[key] for key in keys]
    assert own["Dns"] == ["192.0.2.53"]
    inside = forms.container_config("me", ContainerSpec(pod=POD, name="main", image="a", network="pod", **names), LOGS)
    assert not inside["HostConfig"].keys() & set(keys)
    assert forms.sandbox_config("me", PodNetwork(pod=POD, host=True), "pause")["HostConfig"]["NetworkMode"] == "host"


def test_a_resolver_has_that_of_the_machine_and_what_the_pod_adds() -> None:
    host = "# made\nnameserver 192.0.2.1\nsearch a b\noptions ndots:1 rotate\n"
    own = Resolver(servers=("192.0.2.2", "192.0.2.1"), searches=("b", "c"), options=("ndots:5",))
    both = merged(own, host)
    assert (both.servers, both.searches) == (("192.0.2.1", "192.0.2.2"), ("a", "b", "c"))
    assert both.options == ("ndots:5", "rotate")
    alone = msgspec.structs.replace(own, replaces=True)
    assert merged(alone, host) == alone


def test_a_seccomp_profile_is_read_and_never_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    assert seccomp_profile(tmp_path, "Localhost/a.json") == "{}"
    assert seccomp_profile(tmp_path, "RuntimeDefault") == ""
    for name in ("", "/etc/passwd", "../a.json", "x/../../a.json"):
        with pytest.raises(ContainerConfigError):
            seccomp_profile(tmp_path, f"Localhost/{name}")
    with pytest.raises(ContainerError, match="cannot load seccomp profile"):
        seccomp_profile(tmp_path, "Localhost/none.json")


def test_a_container_in_the_network_of_its_pod_has_no_ports_of_its_own() -> None:
    spec = ContainerSpec(
        pod=POD, name="main", image="a", network="pod", ports=(Port(container=80, host=80),), hostname="h"
    )
    config = forms.container_config("me", spec, LOGS)
    assert config["HostConfig"]["NetworkMode"] == f"container:k8s_POD_shop_default_{POD.uid}_0"
    assert "PortBindings" not in config["HostConfig"]
    assert "Hostname" not in config


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [("0001-01-01T00:00:00Z", 0.0), ("", 0.0), ("2026-11-22T19:04:48Z", 1795374288.0), ("1970-01-01T00:00:01.5Z", 1.5)],
)
def test_times_of_the_engine_are_seconds(stamp: str, seconds: float) -> None:
    assert forms.parse_time(stamp) == seconds


def test_no_engine_is_an_error_in_plain_words(tmp_path: Path) -> None:
    docker = pytest.importorskip("kubeedge_actors.drivers.containers.docker")
    with pytest.raises(RuntimeUnavailable, match="the Docker engine does not answer"):
        docker.DockerRuntime("me", f"unix://{tmp_path}/none.sock", subpaths=tmp_path)


@pytest.fixture
def bench(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[DockerContainersEnv]:
    made = DockerContainersEnv(docker_engine.address, docker_engine.owner, tmp_path)
    yield made
    made.close()


def output(bench: DockerContainersEnv, container_id: str) -> str:
    return b"".join(bench.runtime.logs(container_id, follow=True)).decode()


@pytest.mark.docker
def test_what_another_owner_has_is_not_touched(
    bench: DockerContainersEnv, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    other = DockerContainersEnv(docker_engine.address, f"{docker_engine.owner}-other", tmp_path / "other")
    try:
        container = other.run(FOREVER)
        assert bench.runtime.list() == []
        with pytest.raises(ContainerError, match="of another owner"):
            bench.runtime.create(bench.spec(FOREVER, pod=container.pod))
    finally:
        other.close()


@pytest.mark.docker
def test_a_container_gets_its_variables_mounts_and_limits(bench: DockerContainersEnv, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from outside", encoding="utf-8")
    tmp_path.chmod(0o755)
    mounts = (Mount(name="v", source=str(tmp_path), target="/data", read_only=True),)
    script = (
        "exec 2>&1; cat /data/file; echo; echo $GREETING; pwd; hostname; id -u; echo x >/data/new || echo read-only"
    )
    container = bench.run(
        ("/bin/sh", "-c", script),
        mounts=mounts,
        env={"GREETING": "hi"},
        working_dir="/tmp",
        hostname="shop",
        user="1000",
        memory=32 << 20,
        cpu=0.5,
    )
    lines = output(bench, container.id).splitlines()
    assert lines[:5] == ["from outside", "hi", "/tmp", "shop", "1000"]
    assert lines[-1] == "read-only"


@pytest.mark.docker
def test_containers_of_a_pod_reach_each_other_by_localhost(bench: DockerContainersEnv) -> None:
    try:
        address = bench.runtime.run_pod_sandbox(PodNetwork(pod=POD, hostname="shop"))
        assert address
        serve = "mkdir -p /tmp/w; echo hello >/tmp/w/index.html; httpd -f -p 8000 -h /tmp/w"
        bench.run(
            ("/bin/busybox", "sh", "-c", serve.replace("mkdir", "/bin/busybox mkdir")),
            pod=POD,
            name="web",
            network="pod",
        )
        fetch = "until wget -qO- http://127.0.0.1:8000/; do sleep 0.05; done; hostname"
        container = bench.run(("/bin/sh", "-c", fetch), pod=POD, name="client", network="pod")
        assert [line for line in output(bench, container.id).splitlines() if "wget" not in line] == ["hello", "shop"]
        assert {container.ip for container in bench.runtime.list(POD.uid)} == {address}
        for each in bench.runtime.list(POD.uid):
            bench.runtime.remove(each.id)
    finally:
        bench.runtime.remove_pod_sandbox(POD.uid)


@pytest.mark.docker
def test_a_network_of_a_pod_survives_a_restart_of_the_edge(bench: DockerContainersEnv) -> None:
    try:
        address = bench.runtime.run_pod_sandbox(PodNetwork(pod=POD))
        bench.again()
        assert bench.runtime.pod_sandboxes() == {POD.uid}
        assert bench.runtime.run_pod_sandbox(PodNetwork(pod=POD)) == address
    finally:
        bench.runtime.remove_pod_sandbox(POD.uid)


@pytest.mark.docker
@pytest.mark.parametrize("way", ["kill", "remove"])
def test_the_end_of_a_sandbox_is_told_and_a_new_one_is_made_beside_it(bench: DockerContainersEnv, way: str) -> None:
    try:
        bench.runtime.run_pod_sandbox(PodNetwork(pod=POD))
        one = bench.run(FOREVER, pod=POD, network="pod")
        assert not bench.state(one.id).sandbox_lost
        getattr(bench.runtime, way)(forms.engine_name(POD, forms.SANDBOX_NAME))
        told = bench.events.get(timeout=PATIENCE)
        assert isinstance(told, ContainerEnded) and told.pod_uid == POD.uid
        assert bench.state(one.id).sandbox_lost
        assert bench.runtime.pod_sandboxes() == ({POD.uid} if way == "kill" else set())
        bench.runtime.run_pod_sandbox(PodNetwork(pod=POD))
        two = bench.run(FOREVER, pod=POD, name="second", network="pod")
        assert {each.id: each.sandbox_lost for each in bench.runtime.list(POD.uid)} == {one.id: True, two.id: False}
        for each in (one, two):
            bench.runtime.remove(each.id)
    finally:
        bench.runtime.remove_pod_sandbox(POD.uid)


@pytest.mark.docker
def test_after_a_restart_of_the_machine_containers_are_of_an_earlier_boot(
    bench: DockerContainersEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench.run(exits(0))
    assert not bench.await_end(one.id).sandbox_lost
    monkeypatch.setattr("kubeedge_actors.drivers.containers.docker.boot_id", lambda: "the next")
    bench.again()
    assert bench.state(one.id).sandbox_lost
    assert not bench.state(bench.run(FOREVER).id).sandbox_lost


@pytest.mark.docker
def test_a_command_that_takes_too_long_is_not_waited_for(bench: DockerContainersEnv) -> None:
    container = bench.run(FOREVER)
    for seconds in (0.5, 5.0, PATIENCE):  # whatever the engine needs until something runs
        done = bench.runtime.exec_sync(container.id, ("/bin/sh", "-c", "echo begun; sleep 100000"), seconds)
        assert done.exit_code is None
        if done.output:
            break
    assert done.output == b"begun\n"
    assert (
        bench.runtime.exec_sync(container.id, ("/bin/sh", "-c", "echo out; echo err >&2; exit 3"), PATIENCE).exit_code
        == 3
    )


@pytest.mark.docker
def test_an_image_that_is_not_there_is_said_so(bench: DockerContainersEnv) -> None:
    assert bench.runtime.image_id("no-such-image:1") == ""
    with pytest.raises(ContainerError, match=r"(?i)no such image"):
        bench.runtime.create(bench.spec(exits(0), image="no-such-image:1"))
    with pytest.raises((ContainerError, RuntimeUnavailable)):
        bench.runtime.pull("localhost:1/no-such-image:1")


@pytest.mark.docker
def test_the_end_by_memory_is_named(bench: DockerContainersEnv) -> None:
    hog = "x=a; while :; do x=$x$x$x$x; done"
    container = bench.run(("/bin/sh", "-c", hog), memory=8 << 20)
    bench.await_end(container.id)
    # a busy engine may learn of the reason only after the end
    eventually(lambda: bench.state(container.id).reason == "OOMKilled", "the reason is there")
    assert bench.state(container.id).exit_code in (137, 2, 1)


@pytest.mark.docker
def test_a_container_that_has_ended_keeps_its_address(bench: DockerContainersEnv) -> None:
    container = bench.run(OBEDIENT)
    assert container.ip
    bench.runtime.kill(container.id)
    assert bench.await_end(container.id).ip == container.ip


@pytest.mark.docker
def test_a_port_of_the_machine_leads_into_the_container(bench: DockerContainersEnv) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ports = (Port(container=8000, host=port, address="127.0.0.1"),)
    container = bench.run(("/bin/busybox", "sh", "-c", "httpd -f -p 8000 -h /"), ports=ports)
    assert container.ip
    eventually(lambda: _answer(port).startswith(b"HTTP/1."), "somebody answers")


def _answer(port: int) -> bytes:
    """The first bytes of an answer, none when nobody is there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(b"GET /none HTTP/1.0\r\n\r\n")
        return connection.recv(100)
    return b""
