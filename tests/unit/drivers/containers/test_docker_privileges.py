"""What a Docker engine makes of the fields of a pod: users, capabilities, seccomp, processor time, names, processes."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.containers.base import Mount, PodName, PodNetwork, Resolver
from kubeedge_actors.drivers.containers.settings.capabilities import NAMES
from kubeedge_actors.errors import ContainerError
from tests.support.docker_engine import DockerEngine
from tests.support.env.containers import FOREVER, DockerContainersEnv
from tests.support.waiting import eventually

pytestmark = pytest.mark.docker
BUSYBOX = "/bin/busybox"
STATUS = ("/bin/cat", "/proc/self/status")
NO_UNAME = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
}


@pytest.fixture
def pod() -> PodName:
    return PodName(namespace="default", name="shop", uid=str(uuid.uuid4()))


@pytest.fixture
def bench(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[DockerContainersEnv]:
    made = DockerContainersEnv(docker_engine.address, docker_engine.owner, tmp_path)
    made.runtime._profiles = tmp_path / "profiles"  # type: ignore[attr-defined]
    yield made
    for uid in made.runtime.pod_sandboxes():
        for container in made.runtime.list(uid):
            made.runtime.remove(container.id)
        made.runtime.remove_pod_sandbox(uid)
    made.close()


def output(bench: DockerContainersEnv, command: tuple[str, ...], **more: object) -> str:
    container = bench.run(command, **more)
    return b"".join(bench.runtime.logs(container.id, follow=True)).decode()


def status(bench: DockerContainersEnv, **more: object) -> dict[str, str]:
    lines = output(bench, STATUS, **more).splitlines()
    return {line.partition(":")[0]: " ".join(line.partition(":")[2].split()) for line in lines}


def test_user_groups_and_privileges_are_the_containers(bench: DockerContainersEnv) -> None:
    seen = status(bench, user="1234:7", groups=(8, 9), no_new_privileges=True, capabilities_dropped=("ALL",))
    assert seen["Uid"].split()[0] == "1234"
    assert seen["Gid"].split()[0] == "7"
    assert {"8", "9"} <= set(seen["Groups"].split())
    assert (seen["NoNewPrivs"], int(seen["CapEff"], 16), int(seen["CapBnd"], 16)) == ("1", 0, 0)


def test_root_keeps_what_is_added(bench: DockerContainersEnv) -> None:
    seen = status(bench, capabilities_dropped=("ALL",), capabilities_added=("NET_BIND_SERVICE",))
    assert int(seen["CapEff"], 16) == 1 << NAMES.index("NET_BIND_SERVICE")


def test_seccomp_is_the_engines_none_or_a_file(bench: DockerContainersEnv, tmp_path: Path) -> None:
    filtered = {"": "2", "RuntimeDefault": "2", "Unconfined": "0"}
    assert {profile: status(bench, seccomp=profile)["Seccomp"] for profile in filtered} == filtered
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "no-mkdir.json").write_text(json.dumps(NO_UNAME), encoding="utf-8")
    script = ("/bin/sh", "-c", f"{BUSYBOX} mkdir /tmp/x 2>&1 || echo refused")
    assert "refused" in output(bench, script, seccomp="Localhost/no-mkdir.json")
    with pytest.raises(ContainerError, match="cannot load seccomp profile"):
        bench.runtime.create(bench.spec(FOREVER, seccomp="Localhost/none.json"))


def test_more_processor_time_than_there_are_cores_runs(bench: DockerContainersEnv) -> None:
    cores = float(os.cpu_count() or 1)
    assert output(bench, ("/bin/echo", "runs"), cpu=cores * 16, cpu_request=0.1) == "runs\n"


def test_names_and_kernel_parameters_are_the_pods(bench: DockerContainersEnv, pod: PodName) -> None:
    resolver = Resolver(servers=("192.0.2.53",), searches=("shop.test",), options=("ndots:4",), replaces=True)
    hosts, sysctls = (("db.shop.test", "192.0.2.9"),), (("net.ipv4.ip_unprivileged_port_start", "80"),)
    read = f"cat /etc/resolv.conf /etc/hosts /proc/sys/net/ipv4/ip_unprivileged_port_start; {BUSYBOX} true"
    own = output(bench, ("/bin/sh", "-c", read), hosts=hosts, resolver=resolver, sysctls=sysctls)
    bench.runtime.run_pod_sandbox(PodNetwork(pod=pod, hosts=hosts, resolver=resolver, sysctls=sysctls))
    shared = output(
        bench, ("/bin/sh", "-c", read), pod=pod, network="pod", hosts=hosts, resolver=resolver, sysctls=sysctls
    )
    for text in (own, shared):
        assert "nameserver 192.0.2.53" in text and "search shop.test" in text and "options ndots:4" in text
        assert "192.0.2.9\tdb.shop.test" in text
        assert text.endswith("80\n")


def _first(bench: DockerContainersEnv, container_id: str) -> str:
    done = bench.runtime.exec_sync(container_id, ("/bin/cat", "/proc/1/cmdline"), 10.0)
    return done.output.decode().partition("\0")[0]


def test_processes_are_shared_where_that_is_wanted_and_no_zombie_stays(
    bench: DockerContainersEnv, pod: PodName
) -> None:
    bench.runtime.run_pod_sandbox(PodNetwork(pod=pod))
    one = bench.run(FOREVER, pod=pod, network="pod", shares_pids=True)
    alone = bench.run(FOREVER, pod=pod, name="alone", network="pod")
    assert (_first(bench, one.id), _first(bench, alone.id)) == ("/pause", "/bin/sh")
    orphan = ("/bin/sh", "-c", "(/bin/sh -c 'sleep 0.1' &) ; exit 0")
    assert bench.runtime.exec_sync(one.id, orphan, 10.0).exit_code == 0
    states = "for stat in /proc/[0-9]*/stat; do read -r pid name state rest <$stat && echo $state; done"

    def zombies() -> bytes:
        return bench.runtime.exec_sync(one.id, ("/bin/sh", "-c", states), 10.0).output

    eventually(lambda: b"Z" not in zombies() and b"S" in zombies(), "the pause program keeps no zombies")


def test_processes_are_shared_on_the_network_of_the_machine_too(bench: DockerContainersEnv, pod: PodName) -> None:
    assert bench.runtime.run_pod_sandbox(PodNetwork(pod=pod, host=True)) == ""
    one = bench.run(FOREVER, pod=pod, network="pod", shares_pids=True)
    assert _first(bench, one.id) == "/pause"
    own = os.readlink("/proc/self/ns/net")
    seen = bench.runtime.exec_sync(one.id, (BUSYBOX, "readlink", "/proc/self/ns/net"), 10.0).output.decode().strip()
    assert seen == own


def test_ipc_of_the_machine_and_a_signal_of_its_own(bench: DockerContainersEnv) -> None:
    show = (BUSYBOX, "readlink", "/proc/self/ns/ipc")
    assert output(bench, show, host_ipc=True).strip() == os.readlink("/proc/self/ns/ipc")
    assert output(bench, show).strip() != os.readlink("/proc/self/ns/ipc")
    deaf = ("/bin/sh", "-c", 'trap "" TERM; trap "exit 7" USR1; echo ready; sleep 1000 & wait')
    one = bench.run(deaf, stop_signal="SIGUSR1")
    bench.await_output(one.id, b"ready")
    bench.runtime.stop(one.id)
    assert bench.await_end(one.id).exit_code == 7


def test_a_file_for_last_words_is_written_by_any_user(bench: DockerContainersEnv, tmp_path: Path) -> None:
    file = tmp_path / "words"
    file.touch()
    file.chmod(0o666)
    tmp_path.chmod(0o755)
    mount = Mount(name="termination-log", source=str(file), target="/dev/termination-log")
    one = bench.run(
        ("/bin/sh", "-c", "echo bye >/dev/termination-log"), mounts=(mount,), user="1234", read_only_root=True
    )
    bench.await_end(one.id)
    assert file.read_text(encoding="utf-8") == "bye\n"


def test_what_a_container_writes_is_measured(bench: DockerContainersEnv, pod: PodName) -> None:
    write = f"{BUSYBOX} dd if=/dev/zero of=/tmp/large bs=1024 count=4096 2>/dev/null; echo written; exec sleep 1000"
    one = bench.run(("/bin/sh", "-c", write), pod=pod)
    bench.await_output(one.id, b"written")
    assert 4 << 20 <= bench.runtime.disk_usage(pod.uid)["main"] < 8 << 20


def test_the_user_of_an_image_is_told(bench: DockerContainersEnv) -> None:
    client = bench.runtime._client  # type: ignore[attr-defined]
    tag = f"user-of-tests-{uuid.uuid4()}:1"
    name, _, version = tag.partition(":")
    one = bench.runtime.create(bench.spec(FOREVER))
    client.commit(one.id, repository=name, tag=version, changes=["USER app:7"])
    try:
        assert (bench.runtime.image_user(bench.image), bench.runtime.image_user(tag)) == ("", "app:7")
    finally:
        client.remove_image(tag)
