"""The windows of a running process: its control socket, and its metrics if they are wanted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack

from kubeedge_actors.assembly.port_errors import ChosenPort, naming_port_options
from kubeedge_actors.config import CloudConfig, EdgeConfig
from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.control.process_info import ProcessInfo
from kubeedge_actors.control.streams import NOTHING_MORE, MoreCommands
from kubeedge_actors.deadletters.durable_dead_letters import DurableDeadLetters
from kubeedge_actors.osutil.sockets import is_loopback
from kubeedge_actors.supervisors import ActorSystem

log = logging.getLogger(__name__)

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
    host, port = config.metrics_host, config.metrics_port
    if not port:
        return control.start
    if not is_loopback(host):
        log.warning("--metrics-host %s: whoever reaches this address reads the names of nodes, modules and kinds", host)
    from kubeedge_actors.control.metrics import MetricsServer

    server = MetricsServer(lambda: {"tree": system.tree(), "dead_letters": system.dead_letters.total, **process_info()})
    stack.callback(server.close)
    with naming_port_options(ChosenPort("--metrics-port", port, "--metrics-host", host)):
        server.bind(host, port)

    def start() -> None:
        control.start()
        server.start()

    return start
