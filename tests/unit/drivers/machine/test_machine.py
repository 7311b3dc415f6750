"""The machine around containers: folders of pods, probes over the network, manifests, facts, the pause program."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeedge_actors.drivers.containers import pause
from kubeedge_actors.drivers.machine.base import HealthProbe, VolumeFile
from kubeedge_actors.drivers.machine.linux import LinuxMachine
from kubeedge_actors.drivers.machine.network_prober import NetworkProber
from kubeedge_actors.drivers.machine.static_pods import StaticPodFolder
from kubeedge_actors.drivers.machine.volumes import LocalPodVolumes
from kubeedge_actors.errors import ContainerError
from tests.support.plugins.hypothesis_profile import examples
from tests.support.processes import child
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture
def folders(tmp_path: Path) -> LocalPodVolumes:
    return LocalPodVolumes(tmp_path)


def held(path: str) -> dict[str, bytes]:
    """What somebody sees who reads the volume."""
    files = {}
    for folder, folders, names in os.walk(path, followlinks=True):
        folders[:] = [folder for folder in folders if not folder.startswith("..")]
        for name in names:
            place = Path(folder, name)
            files[str(place.relative_to(path))] = place.read_bytes()
    return files


NAMES = st.sampled_from(["a", "b", "sub/c", "sub/d"])


@settings(max_examples=examples(50))
@given(versions=st.lists(st.dictionaries(NAMES, st.binary(max_size=3)), min_size=1, max_size=4))
def test_a_volume_holds_what_was_written_last_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, versions: list[dict[str, bytes]]
) -> None:
    folders = LocalPodVolumes(tmp_path_factory.mktemp("pods"))
    for files in versions:
        path = folders.write("u", "v", {name: VolumeFile(data=data) for name, data in files.items()})
        assert held(path) == files
        assert len([each for each in Path(path).iterdir() if each.name.startswith("..")]) == 2


def test_files_change_together_and_an_open_reader_keeps_its_version(folders: LocalPodVolumes) -> None:
    path = Path(folders.write("u", "v", {"a": VolumeFile(data=b"1"), "b": VolumeFile(data=b"1")}))
    before = os.open(path / "..data", os.O_RDONLY | os.O_DIRECTORY)
    folders.write("u", "v", {"a": VolumeFile(data=b"2"), "b": VolumeFile(data=b"2")})
    assert (path / "a").read_bytes() + (path / "b").read_bytes() == b"22"
    os.close(before)


def test_nothing_is_written_when_nothing_changes(folders: LocalPodVolumes) -> None:
    path = Path(folders.write("u", "v", {"a": VolumeFile(data=b"1")}))
    version = os.readlink(path / "..data")
    folders.write("u", "v", {"a": VolumeFile(data=b"1")})
    assert os.readlink(path / "..data") == version


def test_files_have_their_modes_and_a_group_may_read_them(folders: LocalPodVolumes) -> None:
    path = folders.write("u", "v", {"a": VolumeFile(data=b"1", mode=0o600)}, group=os.getegid())
    info = Path(path, "a").stat()
    assert (stat.S_IMODE(info.st_mode), info.st_gid) == (0o640, os.getegid())


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ""])
def test_a_file_can_not_be_written_outside_of_its_volume(folders: LocalPodVolumes, name: str) -> None:
    with pytest.raises(ContainerError):
        folders.write("u", "v", {name: VolumeFile(data=b"")})


@pytest.mark.parametrize(("uid", "name"), [("", "v"), ("..", "v"), ("u", ".."), ("a/b", "v"), ("u", "a/b")])
def test_a_volume_can_not_be_outside_of_the_pods(folders: LocalPodVolumes, uid: str, name: str) -> None:
    with pytest.raises(ContainerError):
        folders.make_volume(uid, name)


def test_a_host_path_is_checked_and_made_as_its_type_says(folders: LocalPodVolumes, tmp_path: Path) -> None:
    assert folders.prepare_host_path(str(tmp_path), "Directory") == str(tmp_path)
    assert Path(folders.prepare_host_path(str(tmp_path / "new"), "DirectoryOrCreate")).is_dir()
    assert Path(folders.prepare_host_path(str(tmp_path / "file"), "FileOrCreate")).is_file()
    with pytest.raises(ContainerError, match="is not a directory"):
        folders.prepare_host_path(str(tmp_path / "none"), "Directory")
    with pytest.raises(ContainerError, match="is not a socket"):
        folders.prepare_host_path(str(tmp_path / "file"), "Socket")
    with pytest.raises(ContainerError, match="absolute"):
        folders.prepare_host_path("relative", "")


def test_the_folder_of_a_pod_goes_with_all_that_is_in_it(folders: LocalPodVolumes) -> None:
    folders.make_volume("u", "v")
    folders.write("w", "v", {"a": VolumeFile(data=b"1")})
    assert folders.pod_uids() == {"u", "w"}
    folders.remove("w")
    folders.remove("w")
    assert folders.pod_uids() == {"u"}
    for bad in ("", "..", "a/b"):
        with pytest.raises(ContainerError):
            folders.remove(bad)


@pytest.fixture
def server() -> Iterator[tuple[socket.socket, list[bytes]]]:
    """Answers each connection with 204, or with what the first byte sequence of the path says."""
    listening, seen = socket.create_server(("127.0.0.1", 0)), list[bytes]()

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                request = connection.recv(4096)
                seen.append(request)
                code = request.split(b" ")[1].strip(b"/") if request else b""
                if code.isdigit():
                    connection.sendall(b"HTTP/1.1 " + code + b" X\r\nContent-Length: 0\r\n\r\n")
                elif code:
                    connection.sendall(b"220 smtp\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening, seen
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(PATIENCE)


@pytest.mark.parametrize(
    ("path", "why"), [("/200", ""), ("/302", ""), ("/404", "statuscode: 404"), ("/x", "malformed HTTP response")]
)
def test_an_http_probe_is_good_from_200_to_399(server: tuple[socket.socket, list[bytes]], path: str, why: str) -> None:
    port = server[0].getsockname()[1]
    probe = HealthProbe(
        host="127.0.0.1", port=port, path=path, http=True, headers=(("X-A", "1\r\nX-B: 2"), ("Host", "me"))
    )
    answer = NetworkProber().probe(probe, 5.0)
    assert answer.endswith(why)
    assert bool(answer) is bool(why)
    assert b"X-A: 1X-B: 2\r\n" in server[1][0]
    assert server[1][0].count(b"Host: ") == 1


def test_a_tcp_probe_is_good_when_somebody_listens(server: tuple[socket.socket, list[bytes]]) -> None:
    port = server[0].getsockname()[1]
    assert NetworkProber().probe(HealthProbe(host="127.0.0.1", port=port), 5.0) == ""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
    assert "refused" in NetworkProber().probe(HealthProbe(host="127.0.0.1", port=closed), 5.0)


def test_an_https_probe_of_a_plain_server_says_so(server: tuple[socket.socket, list[bytes]]) -> None:
    port = server[0].getsockname()[1]
    assert (
        NetworkProber()
        .probe(HealthProbe(host="127.0.0.1", port=port, http=True, tls=True), 5.0)
        .startswith("Get https://")
    )


def test_manifests_are_read_again_when_a_file_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def documents(text: str) -> list[object]:
        try:
            return [msgspec.json.decode(text)]
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from error

    folder = StaticPodFolder(tmp_path, documents)
    assert folder.has_changed()
    assert folder.read() == []
    assert not folder.has_changed()
    (tmp_path / "a.yaml").write_text('{"kind": "Pod", "metadata": {"name": "a"}}', encoding="utf-8")
    (tmp_path / "b.json").write_text('{"kind": "Service"}', encoding="utf-8")
    (tmp_path / "c.yaml").write_text("{", encoding="utf-8")
    (tmp_path / ".d.yaml").write_text('{"kind": "Pod"}', encoding="utf-8")
    assert folder.has_changed()
    assert folder.read() == [(str(tmp_path / "a.yaml"), {"kind": "Pod", "metadata": {"name": "a"}})]
    assert "c.yaml is ignored" in caplog.text
    assert "b.json holds objects that are no pods" in caplog.text
    assert not folder.has_changed()
    (tmp_path / "a.yaml").unlink()
    assert folder.has_changed()


def test_a_folder_of_manifests_that_is_not_there_is_empty_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = StaticPodFolder(tmp_path / "none", lambda text: [])
    assert folder.has_changed()  # as at a start: it is looked at before it is read
    assert folder.read() == []
    assert not folder.has_changed()
    assert caplog.text.count("can not be read") == 1
    assert "again" not in caplog.text
    (tmp_path / "none").mkdir()
    assert not folder.has_changed()
    assert caplog.text.count("can be read again") == 1
    (tmp_path / "none").rmdir()
    assert not folder.has_changed()
    assert caplog.text.count("can not be read") == 2, "it was there meanwhile"


def test_the_facts_of_this_machine_are_plausible(tmp_path: Path) -> None:
    info = LinuxMachine(tmp_path).info()
    assert info.operating_system == "linux"
    assert info.kernel == os.uname().release
    assert 0 < info.memory_available <= info.memory
    assert 0 < info.disk_available <= info.disk
    assert info.cpus >= 1
    assert len(info.boot_id) == 36


def test_facts_that_the_machine_does_not_give_are_empty(tmp_path: Path) -> None:
    info = LinuxMachine(tmp_path, root=tmp_path).info()
    assert (info.machine_id, info.memory, info.huge_pages, info.pids_available) == ("", 0, {}, 0)


@pytest.mark.parametrize(("machine", "bits", "number"), [("x86_64", 2, 62), ("aarch64", 2, 183), ("armv7l", 1, 40)])
def test_the_pause_program_is_an_executable_of_its_machine(machine: str, bits: int, number: int) -> None:
    code = pause.pause_binary(machine)
    assert code[:4] == b"\x7fELF"
    assert (code[4], int.from_bytes(code[16:18], "little"), int.from_bytes(code[18:20], "little")) == (bits, 2, number)
    assert len(code) < 240


def test_a_machine_without_a_pause_program_is_named() -> None:
    with pytest.raises(ContainerError, match="riscv64"):
        pause.pause_binary("riscv64")


def sleeps(pid: int) -> bool:
    """Whether the process waits for a signal and for nothing else."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S" and (
        b"/pause" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )


def test_the_pause_program_sleeps_until_it_is_killed(tmp_path: Path) -> None:
    try:
        code = pause.pause_binary(os.uname().machine)
    except ContainerError as error:
        pytest.skip(str(error))
    path = tmp_path / "pause"
    path.write_bytes(code)
    path.chmod(0o755)
    with child([path]) as running:
        eventually(lambda: sleeps(running.pid), "it sleeps")
        running.kill()
        assert running.wait(PATIENCE) == -9


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_a_volume_in_memory_has_its_size_and_goes_with_the_pod(tmp_path: Path) -> None:
    folders = LocalPodVolumes(tmp_path)
    path = Path(folders.make_volume("u", "v", 7, memory=1 << 20))
    try:
        assert path.is_mount()
        assert (path.stat().st_gid, path.stat().st_mode & 0o7777) == (7, 0o2777)
        (path / "kept").write_bytes(b"x")
        assert folders.make_volume("u", "v", 7, memory=1 << 20) == str(path)
        assert (path / "kept").exists(), "an edge that was killed finds it again"
        with pytest.raises(OSError, match="No space left"):
            (path / "large").write_bytes(bytes(2 << 20))
    finally:
        folders.remove("u")
    assert not (tmp_path / "u").exists()


def test_a_volume_in_memory_needs_who_may_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("kubeedge_actors.drivers.machine.volumes.mount", refuse)
    with pytest.raises(ContainerError, match="needs an edge that runs as root"):
        LocalPodVolumes(tmp_path).make_volume("u", "v", memory=1 << 20)


def test_a_volume_of_a_group_is_the_groups_and_is_measured(tmp_path: Path) -> None:
    folders = LocalPodVolumes(tmp_path)
    path = Path(folders.make_volume("u", "v", os.getegid()))
    assert path.stat().st_mode & 0o7777 == 0o2777
    (path / "sub").mkdir()
    (path / "sub" / "file").write_bytes(bytes(10_000))
    assert 10_000 <= folders.used_bytes("u", "v") < 100_000
    assert folders.used_bytes("u", "none") == 0


def test_a_local_volume_is_given_to_its_group_and_nothing_that_it_links_to(tmp_path: Path) -> None:
    folders, disk, outside = LocalPodVolumes(tmp_path / "pods"), tmp_path / "disk", tmp_path / "outside"
    (disk / "sub").mkdir(parents=True)
    for path in (disk / "sub" / "file", outside):
        path.write_text("x", encoding="utf-8")
        path.chmod(0o600)
    (disk / "link").symlink_to(outside)
    folders.give_to_group(str(disk), os.getegid(), keep_matching=True)
    modes = [path.stat().st_mode & 0o7777 for path in (disk, disk / "sub", disk / "sub" / "file", outside)]
    assert modes == [0o2775, 0o2775, 0o660, 0o600]
    (disk / "sub" / "file").chmod(0o600)
    folders.give_to_group(str(disk), os.getegid(), keep_matching=True)
    assert (disk / "sub" / "file").stat().st_mode & 0o777 == 0o600, "the folder matches: nothing is done"
    folders.give_to_group(str(disk), os.getegid(), keep_matching=False)
    assert (disk / "sub" / "file").stat().st_mode & 0o777 == 0o660
    with pytest.raises(ContainerError):
        folders.give_to_group(str(tmp_path / "none"), os.getegid(), keep_matching=False)
