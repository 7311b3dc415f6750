"""The windows of a running process: its control socket, and its metrics if they are wanted."""

from __future__ import annotations

from contextlib import ExitStack

from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.facts import Facts
from kubeedge_actors.letters import LetterOffice
from kubeedge_actors.supervisors import Runtime

MODULES = "modules"
"""The supervisor of modules of one's own."""
PATIENCE = 5.0
"""Seconds that a side waits for the start of each of them before it goes on without it."""


def observe(
    stack: ExitStack,
    runtime: Runtime,
    facts: Facts,
    office: LetterOffice,
    *,
    allow_faults: bool,
    metrics: tuple[str, int],
) -> None:
    """Open them until the stack is closed. `metrics`: host and port, port 0 for none. UsageError for one that is taken."""
    control = ControlSocket(
        facts.data_dir / SOCKET, runtime, facts, modules=MODULES, allow_faults=allow_faults, office=office
    )
    control.start()
    stack.callback(control.close)
    host, port = metrics
    if port:
        from kubeedge_actors.metrics import MetricsServer

        server = MetricsServer(lambda: {"tree": runtime.tree(), "dead_letters": runtime.dead_letters.total, **facts()})
        server.start(host, port)
        stack.callback(server.close)
