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

Json = dict[str, Any]
Traffic = Mapping[str, Mapping[str, Mapping[str, int]]]
PAGE = os.sysconf("SC_PAGE_SIZE")


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
        info: Json = {"link": {"state": "none"} if self.link is None else self.link()}
        if self.traffic is not None:
            info["traffic"] = self.traffic()
        return info | {"databases": databases(self.data_dir), "process": self._process()}

    def _process(self) -> Json:
        return {
            "side": self.side,
            "name": self.name,
            "version": __version__,
            "pid": os.getpid(),
            "rss": int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE,
            "cpu": time.process_time(),
        }


def databases(folder: Path) -> dict[str, int]:
    """The databases in a folder, and how many bytes each has on disk with its write-ahead log."""
    sizes: dict[str, int] = {}
    for entry in os.scandir(folder):
        if entry.name.endswith((".db", ".db-wal")):
            name = entry.name.removesuffix("-wal")
            with contextlib.suppress(FileNotFoundError):  # the log goes when its last user closes it
                sizes[name] = sizes.get(name, 0) + entry.stat().st_size
    return dict(sorted(sizes.items()))
