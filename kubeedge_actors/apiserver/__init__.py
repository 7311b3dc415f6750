"""The embedded Kubernetes API server: an island of its own, usable alone (`python -m kubeedge_actors.apiserver`).

Belongs here: everything between a kubectl request and a row in SQLite. Does not belong here: controllers, schedulers,
what a node does with a pod, and every import of another part of this package except `errors`.
"""

from __future__ import annotations

from .auth import User
from .errors import ApiError
from .handlers.exec import ATTACH, EXEC, PORT_FORWARD, ExecSource, PodExecRequest
from .handlers.logs import LogSource, PodLogRequest
from .handlers.metrics import StatsSource
from .handlers.node_proxy import NodeProxyAnswer, NodeProxyRequest, NodeProxySource
from .http_messages import is_true
from .kubeconfig import kubeconfig
from .registry.discovery import COMPILER
from .server import ApiServer, TlsFiles
from .storage.store import Store

__all__ = [
    "ATTACH",
    "EXEC",
    "PORT_FORWARD",
    "COMPILER",
    "ApiError",
    "ApiServer",
    "PodExecRequest",
    "ExecSource",
    "PodLogRequest",
    "LogSource",
    "NodeProxyAnswer",
    "NodeProxyRequest",
    "NodeProxySource",
    "StatsSource",
    "Store",
    "TlsFiles",
    "User",
    "is_true",
    "kubeconfig",
]
