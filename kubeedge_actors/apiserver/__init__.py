"""The embedded Kubernetes API server: an island of its own, usable alone (`python -m kubeedge_actors.apiserver`).

Belongs here: everything between a kubectl request and a row in SQLite. Does not belong here: controllers, schedulers,
what a node does with a pod, and every import of another part of this package except `errors`.
"""

from __future__ import annotations

from .discovery import COMPILER
from .kubeconfig import kubeconfig
from .logs import LogQuery, LogSource
from .server import ApiServer, TlsFiles
from .status import ApiError
from .storage.store import Store
from .takeover import ExecQuery, ExecSource
from .users import User

__all__ = [
    "COMPILER",
    "ApiError",
    "ApiServer",
    "ExecQuery",
    "ExecSource",
    "LogQuery",
    "LogSource",
    "Store",
    "TlsFiles",
    "User",
    "kubeconfig",
]
