"""The record `container.json` of a container of the process runtime: written whole, and read again by the next edge."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec

from kubeedge_actors.drivers.containers.base import Container
from kubeedge_actors.errors import ContainerError

log = logging.getLogger(__name__)

RECORD = "container.json"


class ContainerRecord(msgspec.Struct):
    """What is written: no environment, which may hold secrets. `boot_id` is that of the machine's start; `cgroup` a folder, empty for none."""

    container: Container
    boot_id: str
    cgroup: str = ""


def boot_id() -> str:
    """The kernel's id of this run of the machine, within which a process and a sandbox live; empty where it tells none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def write_record(folder: Path, record: ContainerRecord) -> None:
    """Write it into the container's folder, which is made. Errors: ContainerError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = folder / f"{RECORD}.new"
        fresh.write_bytes(msgspec.json.encode(record))
        fresh.replace(folder / RECORD)
    except OSError as error:
        name = record.container.name
        raise ContainerError(f"the folder of container {name} can not be written: {error}") from error


def read_records(root: Path) -> Iterator[tuple[Path, ContainerRecord]]:
    """The containers below the folder of all pods, with their folders; what is damaged is left out with a warning."""
    for path in sorted(root.glob(f"*/containers/*/*/{RECORD}")):
        try:
            yield path.parent, msgspec.json.decode(path.read_bytes(), type=ContainerRecord)
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s can not be read and is left out: %s", path, error)
