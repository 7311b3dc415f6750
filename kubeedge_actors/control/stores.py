"""The databases that this process has open: sizes and commits."""

from __future__ import annotations

import time
from typing import Any

from kubeedge_actors.osutil.commit_stats import CommitStats, open_files
from kubeedge_actors.osutil.files import size_and_time

Json = dict[str, Any]


def stores() -> list[Json]:
    """Each database by its path."""
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
