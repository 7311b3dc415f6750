"""The windows of a running process: its control socket, and its metrics if they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from kubeedge_actors.assembly.local_doors import metrics_access
from kubeedge_actors.assembly.port_errors import ChosenPort, naming_port_options
from kubeedge_actors.config import CloudConfig, EdgeConfig
from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.control.process_info import ProcessInfo
from kubeedge_actors.control.streams import NOTHING_MORE, MoreCommands
from kubeedge_actors.deadletters.durable_dead_letters import DurableDeadLetters
from kubeedge_actors.supervisors import ActorSystem

if TYPE_CHECKING:
    from kubeedge_actors.control.metrics import MetricsServer

MODULES = "modules"
"""The supervisor of modules of one's own."""
PATIENCE = 5.0
"""Seconds that a side waits for the start of each of them before it goes on without it."""


def serve_admin_endpoints(
    stack: ExitStack,
    system: ActorSystem,
    process_info: ProcessInfo,
    dead_letters: DurableDeadLetters,
    config: EdgeConfig | CloudConfig,
    more: MoreCommands = NOTHING_MORE,
) -> Callable[[], None]:
    """Take their places until the stack is closed; what is returned opens them, once the tree has started. `more`: for the control socket.

    UsageError or HttpError for one that can not be had.
    """
    control = ControlSocket(
        process_info.data_dir / SOCKET,
        system,
        process_info,
        modules=MODULES,
        allow_faults=config.allow_faults,
        dead_letters=dead_letters,
        more=more,
    )
    stack.callback(control.close)
    control.bind()
    if not config.metrics_port:
        return control.start

    def look() -> dict[str, Any]:
        return {"tree": system.tree(), "dead_letters": system.dead_letters.total, **process_info()}

    metrics = _metrics(look, config)
    stack.callback(metrics.close)

    def start() -> None:
        control.start()
        metrics.start()

    return start


def _metrics(look: Callable[[], dict[str, Any]], config: EdgeConfig | CloudConfig) -> MetricsServer:
    from kubeedge_actors.control.metrics import MetricsServer  # late: most nodes serve none

    host, port = config.metrics_host, config.metrics_port
    context, token = metrics_access(config)
    server = MetricsServer(look, context=context, token=token)
    with naming_port_options(ChosenPort("--metrics-port", port, "--metrics-host", host)):
        server.bind(host, port)
    return server
