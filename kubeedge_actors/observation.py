"""The windows of a running process: its control socket, and its metrics if they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from kubeedge_actors.config import CloudConfig, EdgeConfig
from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.facts import Facts
from kubeedge_actors.letters import LetterOffice
from kubeedge_actors.ports import Chosen, chosen_by
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
    config: EdgeConfig | CloudConfig,
) -> Callable[[], None]:
    """Take their places until the stack is closed; what is returned opens them, once the tree has started.

    UsageError or HttpError for one that can not be had.
    """
    control = ControlSocket(
        facts.data_dir / SOCKET, runtime, facts, modules=MODULES, allow_faults=config.allow_faults, office=office
    )
    stack.callback(control.close)
    control.bind()
    host, port = config.metrics_host, config.metrics_port
    if not port:
        return control.start
    from kubeedge_actors.metrics import MetricsServer

    server = MetricsServer(lambda: {"tree": runtime.tree(), "dead_letters": runtime.dead_letters.total, **facts()})
    stack.callback(server.close)
    with chosen_by(Chosen("--metrics-port", port, "--metrics-host", host)):
        server.bind(host, port)

    def start() -> None:
        control.start()
        server.start()

    return start
