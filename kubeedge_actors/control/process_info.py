"""What a process knows of itself beside its supervision tree: link, traffic, databases, memory. For the control socket and for metrics."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeedge_actors import __version__
from kubeedge_actors.osutil.commit_stats import CommitStats, open_files
from kubeedge_actors.osutil.files import size_and_time
from kubeedge_actors.supervisors.cell.cell import Cell

Json = dict[str, Any]
Traffic = Mapping[str, Mapping[str, Mapping[str, int]]]
PAGE, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """Call it for the facts of now. `link` and `traffic`: what the hub knows of the link; None: there is none."""

    side: str
    name: str
    data_dir: Path
    link: Callable[[], Json] | None = None
    traffic: Callable[[], Traffic] | None = None

    def __call__(self) -> Json:
        """Plain data; times in seconds, sizes in bytes."""
        traffic = {} if self.traffic is None else {"traffic": self.traffic()}
        return self.brief() | traffic | {"databases": databases(self.data_dir)}

    def brief(self) -> Json:
        """What costs next to nothing: the link and the process itself."""
        return {"link": {"state": "none"} if self.link is None else self.link(), "process": self._process()}

    def _process(self) -> Json:
        return {
            "side": self.side,
            "name": self.name,
            "version": __version__,
            "pid": os.getpid(),
            "rss": resident_bytes(),
            "cpu": time.process_time(),
        }


def resident_bytes() -> int:
    """Memory that this process holds."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


def with_usage(node: Json) -> Json:
    """The supervision tree with `rss` (bytes) and `cpu` (seconds) of each actor that has a process of its own on this machine."""
    if children := node.get("children"):
        return node | {"children": [with_usage(child) for child in children]}
    return node | usage(node["pid"]) if node.get("pid") and not node.get("host") else node


def process_of(cell: Cell) -> Json:
    """`pid`, `rss` and `cpu` of the process that an actor has for itself on this machine; nothing when it has none."""
    location = cell.engine.location(cell)
    if not location.get("pid") or location.get("host"):
        return {}
    return {"pid": location["pid"], **usage(location["pid"])}


def usage(pid: int) -> Json:
    """Memory and processor time of a process; nothing when it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        ticks = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[11:13]
        )
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {"rss": int(pages) * PAGE, "cpu": sum(map(int, ticks)) / TICKS}


def databases(folder: Path) -> dict[str, int]:
    """The databases in a folder, and how many bytes each has on disk with its write-ahead log."""
    sizes: dict[str, int] = {}
    for entry in os.scandir(folder):
        if entry.name.endswith((".db", ".db-wal")):
            name = entry.name.removesuffix("-wal")
            with contextlib.suppress(FileNotFoundError):  # the log goes when its last user closes it
                sizes[name] = sizes.get(name, 0) + entry.stat().st_size
    return dict(sorted(sizes.items()))


def stores() -> list[Json]:
    """Each database that this process has open: sizes and commits."""
    now = time.monotonic()
    return [_store(stats, now) for stats in open_files()]


def _store(stats: CommitStats, now: float) -> Json:
    size, written = size_and_time(stats.path)
    wal, _ = size_and_time(stats.path.with_name(f"{stats.path.name}-wal"))
    return {
        "name": stats.path.name,
        "bytes": size,
        "wal_bytes": wal,
        "commits": stats.commits,
        "commit_rate": stats.rate(now),
        "commit_p50": stats.quantile(0.5),
        "commit_p99": stats.quantile(0.99),
        "checkpoint_at": written / 1e9 or None,  # with a write-ahead log nothing else writes to it
    }
