"""F4: `subPath` never leads out of its volume, however the volume is changed while it is looked at (CVE-2021-25741)."""

from __future__ import annotations

import ctypes
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from kubeedge_actors.drivers.containers import subpaths
from kubeedge_actors.drivers.containers.base import ContainerSpec, Mount, PodName
from kubeedge_actors.drivers.containers.process import ProcessRuntime
from kubeedge_actors.drivers.containers.subpaths import SubpathMounts, opened_subpath
from kubeedge_actors.errors import ContainerConfigError
from kubeedge_actors.osutil import safe_path
from tests.support.docker_engine import DockerEngine
from tests.support.env.containers import DockerContainersEnv

POD = PodName(namespace="default", name="p", uid="6f6b2a4e-0000-4000-8000-000000000001")
TRIES = 400
RENAME_EXCHANGE = 2
LOOK = "if cat /data/secret; then exit 1; fi"
may_mount = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
Opener = Callable[[int, str], int]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume, and beside it a secret of the machine."""
    (tmp_path / "outside" / "x").mkdir(parents=True)
    (tmp_path / "outside" / "x" / "secret").touch()
    made = tmp_path / "volume"
    (made / "a" / "x").mkdir(parents=True)
    return made


@contextmanager
def racing(volume: Path) -> Iterator[None]:
    """Somebody exchanges the folder `a` for a link out of the volume, and back, as fast as can be."""
    (volume / "b").symlink_to(volume.parent / "outside")
    one, other, ending = os.fsencode(volume / "a"), os.fsencode(volume / "b"), threading.Event()
    renameat2 = ctypes.CDLL(None).renameat2

    def race() -> None:
        while not ending.is_set():
            assert renameat2(-100, one, -100, other, RENAME_EXCHANGE) == 0

    thread = threading.Thread(target=race, name="racing-renamer")
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def spec_of(volume: Path, path: str, command: tuple[str, ...] = ("/bin/true",)) -> ContainerSpec:
    mount = Mount(name="v", source=str(volume), target="/data", subpath=path)
    return ContainerSpec(pod=POD, name="main", image="busybox-of-tests:1", command=command, mounts=(mount,))


@pytest.mark.parametrize("openat", [safe_path.open_beneath, safe_path.walk_beneath])
def test_links_are_followed_within_a_volume_and_not_out_of_it(volume: Path, openat: Opener) -> None:
    (volume / "within").symlink_to("a/../a/x")
    for name, target in {"out": "..", "far": "a/../../outside", "absolute": "/etc", "loop": "loop"}.items():
        (volume / name).symlink_to(target)
    root = os.open(volume, os.O_PATH)
    try:
        found = openat(root, "within")
        assert safe_path.real_path(found) == str(volume / "a" / "x")
        os.close(found)
        for path in ("out", "far/x", "absolute/passwd", "../outside", "/etc", "loop"):
            with pytest.raises(OSError, match=r"cross-device|symbolic links"):
                os.close(openat(root, path))
    finally:
        os.close(root)


@pytest.mark.parametrize("openat", [safe_path.open_beneath, safe_path.walk_beneath])
def test_a_race_never_leads_out(volume: Path, openat: Opener) -> None:
    root, found = os.open(volume, os.O_PATH), 0
    try:
        with racing(volume):
            for _ in range(TRIES):
                try:
                    fd = openat(root, "a/x")
                except OSError:
                    continue
                found += 1
                try:
                    with pytest.raises(FileNotFoundError):
                        os.stat("secret", dir_fd=fd)
                finally:
                    os.close(fd)
    finally:
        os.close(root)
    assert found, "the way that is allowed is found, too"


def test_a_kernel_without_openat2_is_walked(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_path, "OPENAT2", 100_000)
    (volume / "out").symlink_to("../outside")
    with opened_subpath(str(volume), "a/x") as found:
        assert safe_path.real_path(found) == str(volume / "a" / "x")
    with pytest.raises(ContainerConfigError, match="leads out"), opened_subpath(str(volume), "out/x"):
        pass


def test_what_is_missing_is_made_with_the_mode_of_the_volume(volume: Path) -> None:
    volume.chmod(0o777)
    with opened_subpath(str(volume), "new/deep") as found:
        assert stat.S_IMODE(os.fstat(found).st_mode) == 0o777
    for path in ("../x", "/etc", "a/../../x", "dangling/x", "nul\0"):
        (volume / "dangling").unlink(missing_ok=True)
        (volume / "dangling").symlink_to("../outside/none")
        with pytest.raises(ContainerConfigError, match="leads out"), opened_subpath(str(volume), path):
            pass
    assert not (volume.parent / "x").exists()


@pytest.mark.processes
def test_a_process_is_given_a_path_of_its_volume(volume: Path, tmp_path: Path) -> None:
    runtime = ProcessRuntime(tmp_path / "pods")
    try:
        (volume / "out").symlink_to("../outside")
        with pytest.raises(ContainerConfigError, match="leads out"):
            runtime.create(spec_of(volume, "out/x"))
        runtime.create(spec_of(volume, "a/x"))
    finally:
        runtime.close()


def mounts_below(folder: Path) -> int:
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8").count(f" {folder}/")


@may_mount
def test_what_an_engine_is_given_can_not_be_pointed_elsewhere(volume: Path, tmp_path: Path) -> None:
    kept = SubpathMounts(tmp_path / "kept")
    with racing(volume):
        for _ in range(TRIES // 4):
            try:
                (mount,) = kept.mounted("p.main", spec_of(volume, "a/x")).mounts
            except ContainerConfigError as error:
                assert "leads out" in str(error) or "can not be used" in str(error)
                continue
            assert not (Path(mount.source) / "secret").exists()
    kept.release("p.main")
    assert mounts_below(tmp_path / "kept") == 0


@may_mount
def test_a_file_is_mounted_too_and_stays_the_one_that_it_was(volume: Path, tmp_path: Path) -> None:
    kept = SubpathMounts(tmp_path / "kept")
    (volume / "file").write_text("mine", encoding="utf-8")
    (mount,) = kept.mounted("p.main", spec_of(volume, "file")).mounts
    (volume / "file").unlink()
    (volume / "file").symlink_to("/etc/passwd")
    assert Path(mount.source).read_text(encoding="utf-8") == "mine"
    kept.release("p.main")


@may_mount
def test_what_a_killed_edge_left_is_taken_away_by_the_next(volume: Path, tmp_path: Path) -> None:
    SubpathMounts(tmp_path / "kept").mounted("p.main", spec_of(volume, "a/x"))
    assert mounts_below(tmp_path / "kept") == 2
    SubpathMounts(tmp_path / "kept")
    assert mounts_below(tmp_path / "kept") == 0
    assert list((tmp_path / "kept").iterdir()) == []
    assert (volume / "a" / "x").is_dir(), "what was mounted is not removed"


def test_an_edge_that_may_not_mount_refuses_the_pod(
    volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(subpaths, "_mount", refuse)
    with pytest.raises(ContainerConfigError, match=r"needs an edge that runs as root and may mount \(CAP_SYS_ADMIN\)"):
        SubpathMounts(tmp_path / "kept").mounted("p.main", spec_of(volume, "a/x"))


def run_in_race(env: DockerContainersEnv, volume: Path, count: int) -> None:
    """One container with the racing `subPath`: it is refused, or does not see the secret."""
    spec = msgspec.structs.replace(spec_of(volume, "a/x", ("/bin/sh", "-c", LOOK)), restart_count=count)
    try:
        container = env.runtime.start(env.runtime.create(spec).id)
    except ContainerConfigError as error:
        assert "leads out" in str(error) or "can not be used" in str(error)
        return
    assert env.await_end(container.id).exit_code == 0
    env.runtime.remove(container.id)


@may_mount
@pytest.mark.docker
def test_docker_mounts_nothing_else_in_a_race(docker_engine: DockerEngine, volume: Path, tmp_path: Path) -> None:
    env = DockerContainersEnv(docker_engine.address, docker_engine.owner, tmp_path)
    try:
        with racing(volume):
            for count in range(12):
                run_in_race(env, volume, count)
        place = volume / "a" if (volume / "a").is_dir() and not (volume / "a").is_symlink() else volume / "b"
        (place / "x" / "mine").touch()
        kept = env.run(("/bin/sh", "-c", "test -e /data/mine"), mounts=spec_of(volume, f"{place.name}/x").mounts)
        assert env.await_end(kept.id).exit_code == 0
        assert mounts_below(tmp_path / "volume-subpaths") == 0
    finally:
        env.close()
