"""`subPath` of volume mounts: what is mounted is beneath its volume, whatever a container of the pod renames meanwhile
(source: kubelet's subpath package; CVE-2017-1002101, CVE-2021-25741).

An engine mounts by name, later than we have looked. So what was found is mounted, by its descriptor, at a place that
nobody else can change, and the engine is given that place: `<folder>/<key>/<number>`, in a file system of its own in
memory. An engine that does not see our mounts sees nothing there, and refuses the container. Mounts are there from the
making of a container to its start; what a killed edge left is taken away by the next one.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from kubeedge_actors.drivers.containers.base import ContainerSpec, Mount
from kubeedge_actors.errors import ContainerConfigError
from kubeedge_actors.osutil.mounts import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID
from kubeedge_actors.osutil.mounts import mount as _mount
from kubeedge_actors.osutil.mounts import unmount as _unmount
from kubeedge_actors.osutil.safe_path import make_beneath, real_path

log = logging.getLogger(__name__)


@contextmanager
def opened_subpath(volume: str, path: str) -> Iterator[int]:
    """A descriptor (O_PATH) of `path` in the volume, made as a folder with the volume's mode when it is not there.

    Errors: ContainerConfigError, for one that leads out of the volume above all.
    """
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise ContainerConfigError(f"subPath {path!r} leads out of its volume")
    try:
        folder = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = make_beneath(folder, path, stat.S_IMODE(os.fstat(folder).st_mode))
        finally:
            os.close(folder)
    except OSError as error:
        leads_out = f"subPath {path!r} leads out of its volume"
        failed = f"subPath {path!r} can not be used: {error.strerror or error}"
        raise ContainerConfigError(leads_out if error.errno == errno.EXDEV else failed) from error
    try:
        yield found
    finally:
        os.close(found)


def with_subpaths_resolved(spec: ContainerSpec) -> ContainerSpec:
    """The spec with the path of each `subpath` in its place, for a runtime that only names volumes. Errors: ContainerConfigError."""
    return msgspec.structs.replace(spec, mounts=tuple(_resolved(mount) for mount in spec.mounts))


def _resolved(mount: Mount) -> Mount:
    if not mount.subpath:
        return mount
    with opened_subpath(mount.source, mount.subpath) as found:
        return msgspec.structs.replace(mount, source=real_path(found), subpath="")


class SubpathMounts:
    """The mounts of one edge, below `folder`, which is made when the first one comes."""

    def __init__(self, folder: Path) -> None:
        """Takes away what is left of an edge that was killed."""
        self._folder = folder.absolute()
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                self.release(entry.name)

    def mounted(self, key: str, spec: ContainerSpec) -> ContainerSpec:
        """The spec with a mount of ours in place of each `subpath`, until `release` of the key, which is empty when there
        are none.

        Errors: ContainerConfigError, where this process may not mount too.
        """
        if not key:
            return spec
        self.release(key)
        place = self._folder / key
        try:
            place.mkdir(mode=0o700, parents=True)
            _mount("tmpfs", str(place), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700,size=64k")
            mounts = tuple(self._mounted(place / str(number), mount) for number, mount in enumerate(spec.mounts))
        except OSError as error:
            self.release(key)
            text = f"subPath needs an edge that runs as root and may mount (CAP_SYS_ADMIN): {error.strerror or error}"
            raise ContainerConfigError(text) from error
        except ContainerConfigError:
            self.release(key)
            raise
        return msgspec.structs.replace(spec, mounts=mounts)

    @staticmethod
    def _mounted(place: Path, mount: Mount) -> Mount:
        if not mount.subpath:
            return mount
        with opened_subpath(mount.source, mount.subpath) as found:
            if stat.S_ISDIR(os.fstat(found).st_mode):
                place.mkdir()
            else:
                place.touch()
            _mount(f"/proc/self/fd/{found}", str(place), None, MS_BIND, None)
        return msgspec.structs.replace(mount, source=str(place), subpath="")

    def release(self, key: str) -> None:
        """Take the mounts of a key away; containers keep what was mounted into them. No error when there are none."""
        if not key:
            return
        place = self._folder / key
        with suppress(OSError):  # the one that says that nothing is mounted there
            while True:
                _unmount(str(place))
        try:
            place.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:  # an edge that ran as root was killed, and this one may not unmount
            log.warning("the mounts below %s can not be taken away: %s", place, error.strerror)
