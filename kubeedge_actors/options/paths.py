"""Where a side keeps its state when nobody says."""

from __future__ import annotations

import os
from pathlib import Path


def default_data_dir(side: str) -> Path:
    """Where `side` (cloud or edge) keeps its state when no --data-dir is given."""
    if os.geteuid() == 0:
        return Path("/var/lib/kubeedge-actors") / side
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "kubeedge-actors" / side


def absolute(text: str) -> Path:
    """A path option that still means the same after a process has changed its directory."""
    return Path(text).absolute()
