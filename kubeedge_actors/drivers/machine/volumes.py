"""The folders of pods: `<root>/<pod uid>/volumes/<name>`, with files that change all at once for whoever reads them.

A volume of files is a folder with a hidden folder per version, a link `..data` to the one that counts, and a link per
file through it (source: kubelet AtomicWriter). One rename of `..data` changes them all; a container that has the
folder mounted sees it.
"""

from __future__ import annotations

import logging
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kubeedge_actors.drivers.containers.names import check_pod_uid, check_volume_name
from kubeedge_actors.drivers.machine.base import VolumeFile
from kubeedge_actors.errors import ContainerError
from kubeedge_actors.kubernetes.names import file_path_errors, is_uid
from kubeedge_actors.osutil.mounts import MS_NODEV, MS_NOSUID, mount, unmount

log = logging.getLogger(__name__)

DATA = "..data"
GROUP_FOLDER = 0o2770
"""Of a group's folder; what is made in it is the group's."""
FROM_LOG = ".from-log"
"""Beside the file of a container's last words: if it stays empty, the end of the log is meant."""
CHECKS: dict[str, Callable[[int], bool]] = {
    "Directory": stat.S_ISDIR,
    "DirectoryOrCreate": stat.S_ISDIR,
    "File": stat.S_ISREG,
    "FileOrCreate": stat.S_ISREG,
    "Socket": stat.S_ISSOCK,
    "CharDevice": stat.S_ISCHR,
    "BlockDevice": stat.S_ISBLK,
}


@contextmanager
def _translated(description: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ContainerError(f"{description}: {error.strerror or error}") from error


class LocalPodVolumes:
    """Folders of pods under `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def _path(self, pod_uid: str, name: str) -> Path:
        check_pod_uid(pod_uid)
        check_volume_name(name)
        return self._root / pod_uid / "volumes" / name

    def make_volume(self, pod_uid: str, name: str, group: int | None = None, memory: int = 0) -> str:
        """The folder of a volume; everybody may write to it, as Kubernetes does with emptyDir. What is made in it is its
        group's, where there is one. In memory (a tmpfs) when it has bytes there.
        """
        path = self._path(pod_uid, name)
        with _translated(f'the volume "{name}" can not be made'):
            if path.is_dir() and not (memory and not path.is_mount()):
                return str(path)
            path.mkdir(parents=True, exist_ok=True)
            if memory:
                self._mount_memory(path, name, memory)
            if group is not None:
                os.chown(path, -1, group)
            path.chmod(0o777 if group is None else 0o2777)
        return str(path)

    @staticmethod
    def _mount_memory(path: Path, name: str, memory: int) -> None:
        try:
            mount("tmpfs", str(path), "tmpfs", MS_NOSUID | MS_NODEV, f"size={memory}")
        except PermissionError as error:
            text = f"needs an edge that runs as root and may mount (CAP_SYS_ADMIN): {error.strerror}"
            raise ContainerError(f'the volume "{name}" in memory {text}') from error

    def _termination_log(self, pod_uid: str, name: str, restart_count: int) -> Path:
        check_pod_uid(pod_uid)
        check_volume_name(name)
        return self._root / pod_uid / "termination" / f"{name}.{restart_count}"

    def make_termination_log(self, pod_uid: str, name: str, restart_count: int, *, from_log: bool) -> str:
        """The file for a container's last words, empty; any user of the container may write to it."""
        path = self._termination_log(pod_uid, name, restart_count)
        with _translated(f"the file for the last words of container {name} can not be made"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            path.chmod(0o666)
            if from_log:
                path.with_name(path.name + FROM_LOG).touch()
        return str(path)

    def read_termination_log(self, pod_uid: str, name: str, restart_count: int, limit: int) -> tuple[bytes, bool]:
        """The first `limit` bytes of a container's last words, and whether the end of its log stands in for them."""
        path = self._termination_log(pod_uid, name, restart_count)
        with _translated(f"the last words of container {name} can not be read"), suppress(FileNotFoundError):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                data = file.read(limit) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
            return data or b"", path.with_name(path.name + FROM_LOG).exists()
        return b"", False

    def used_bytes(self, pod_uid: str, name: str) -> int:
        """What the files of a volume take of the disk; what is gone meanwhile counts nothing."""
        path, total = self._path(pod_uid, name), 0
        for folder, _, files in os.walk(path):
            for file in files:
                with suppress(FileNotFoundError):
                    total += os.lstat(os.path.join(folder, file)).st_blocks * 512
        return total

    def write(self, pod_uid: str, name: str, files: dict[str, VolumeFile], group: int | None = None) -> str:
        """Make the volume hold exactly these files; nothing is written when it does already. Error: ContainerError."""
        path = self._path(pod_uid, name)
        for inside in files:
            if file_path_errors(inside) or not set(inside.split("/")) - {"", "."}:
                raise ContainerError(f'the volume "{name}" can not hold a file called {inside!r}')
        with _translated(f'the volume "{name}" can not be written'):
            path.mkdir(parents=True, exist_ok=True)
            if not _holds(path, files):
                self._replace(path, files, group)
        return str(path)

    def _replace(self, path: Path, files: dict[str, VolumeFile], group: int | None) -> None:
        version = path / f"..{uuid.uuid4().hex}"
        version.mkdir(0o755)
        for inside, file in files.items():
            _write(version / inside, file, group)
        before = os.readlink(path / DATA) if (path / DATA).is_symlink() else ""
        fresh = path / f"{DATA}_new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(version.name)
        fresh.replace(path / DATA)
        _link(path, {inside.split("/")[0] for inside in files})
        import shutil  # late: it brings three compressions along, 0.5 MB

        for old in path.glob("..*"):
            if old.name not in (DATA, version.name) and (old.name == before or not old.is_symlink()):
                shutil.rmtree(old, ignore_errors=True)

    def prepare_host_path(self, path: str, type: str) -> str:
        """Check the path, and make it when the type says so. Error: ContainerError."""
        if ".." in path.split("/") or not path.startswith("/"):
            raise ContainerError(f"hostPath {path!r} is not an absolute path")
        place = Path(path)
        with _translated(f"hostPath {path} can not be made"):
            if type == "DirectoryOrCreate":
                place.mkdir(mode=0o755, parents=True, exist_ok=True)
            elif type == "FileOrCreate" and not place.exists():
                place.touch(0o644)
        check = CHECKS.get(type)
        if check is not None and not (place.exists() and check(place.stat().st_mode)):
            raise ContainerError(f"hostPath type check failed: {path} is not a {type.removesuffix('OrCreate').lower()}")
        if check is None and not place.exists():
            with _translated(f"hostPath {path} can not be made"):
                place.mkdir(mode=0o755, parents=True, exist_ok=True)  # as engines do with a missing source
        return path

    def give_to_group(self, path: str, group: int, *, keep_matching: bool) -> None:
        """Give all files and folders to the group; links are not followed, whoever changes them meanwhile. Error: ContainerError."""
        with _translated(f"{path} can not be given to the group {group}"):
            top = Path(path).stat()
            if keep_matching and top.st_gid == group and top.st_mode & GROUP_FOLDER == GROUP_FOLDER:
                return
            for _, _, files, folder in os.fwalk(path):
                for name in (*files, "."):
                    _give(name, folder, group)

    def pod_uids(self) -> set[str]:
        """Pods that have a folder."""
        try:
            found = [entry.name for entry in os.scandir(self._root) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return set()
        return {name for name in found if is_uid(name)}  # what else lies here is not ours to remove

    def remove(self, pod_uid: str) -> None:
        """Remove the folder of a pod; mounts below it are not followed. Error: ContainerError."""
        check_pod_uid(pod_uid)
        with _translated(f"the folder of pod {pod_uid} can not be removed"):
            path = self._root / pod_uid
            if path.is_dir():
                _unmount_volumes(path / "volumes")
                import shutil  # late: it brings three compressions along, 0.5 MB

                shutil.rmtree(path)


def _give(name: str, folder: int, group: int) -> None:
    with suppress(FileNotFoundError):  # gone meanwhile
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISLNK(mode):
                os.chown(f"/proc/self/fd/{fd}", -1, group)
                os.chmod(f"/proc/self/fd/{fd}", stat.S_IMODE(mode) | (GROUP_FOLDER if stat.S_ISDIR(mode) else 0o660))
        finally:
            os.close(fd)


def _unmount_volumes(folder: Path) -> None:
    """Take away what is mounted in memory: `remove` is to empty it, and the folder below has to go."""
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if not entry.is_symlink() and os.path.ismount(entry.path):
                unmount(entry.path)


def _holds(path: Path, files: dict[str, VolumeFile]) -> bool:
    data = path / DATA
    if not data.is_dir():
        return False
    existing = {str(path.relative_to(data)): path for path in data.rglob("*") if path.is_file()}
    if existing.keys() != files.keys():
        return False
    same = (
        existing[name].read_bytes() == file.data and _mode(existing[name], file.mode) for name, file in files.items()
    )
    return all(same)


def _mode(path: Path, mode: int) -> bool:
    return stat.S_IMODE(path.stat().st_mode) & mode == mode


def _write(path: Path, file: VolumeFile, group: int | None) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as target:
        target.write(file.data)
        mode = file.mode
        if group is not None:
            os.fchown(fd, -1, group)
            mode |= 0o040
        os.fchmod(fd, mode)


def _link(path: Path, names: set[str]) -> None:
    """One link for each first part of a path, through ..data; links to what is gone are removed."""
    for entry in os.scandir(path):
        if not entry.name.startswith("..") and entry.is_symlink() and entry.name not in names:
            os.unlink(entry.path)
    for name in names:
        if not (path / name).is_symlink():
            (path / name).symlink_to(f"{DATA}/{name}")
