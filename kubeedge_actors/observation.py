"""The windows of a running process: its control socket, and its metrics if they are wanted."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import ExitStack

from kubeedge_actors.config import METRICS_HOST, CloudConfig, EdgeConfig
from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.facts import Facts
from kubeedge_actors.letters import LetterOffice
from kubeedge_actors.ports import Chosen, chosen_by
from kubeedge_actors.supervisors import Runtime

MODULES = "modules"
"""The supervisor of modules of one's own."""
PATIENCE = 5.0
"""Seconds that a side waits for the start of each of them before it goes on without it."""


def add_options(parser: ArgumentParser) -> None:
    """The options of both commands for modules of one's own and for metrics."""
    parser.add_argument(
        "--module",
        action="append",
        dest="modules",
        metavar="pkg.file:Class",
        help="a module of your own, with @process behind it in a process of its own; repeatable",
    )
    parser.add_argument(
        "--metrics-port", type=int, metavar="PORT", help="serve Prometheus metrics at this port (default: not)"
    )
    parser.add_argument("--metrics-host", metavar="ADDRESS", help=f"address to serve them on (default: {METRICS_HOST})")


def observe(
    stack: ExitStack,
    runtime: Runtime,
    facts: Facts,
    office: LetterOffice,
    config: EdgeConfig | CloudConfig,
    *,
    allow_faults: bool,
) -> Callable[[], None]:
    """Take their places until the stack is closed; what is returned opens them, once the tree has started.

    UsageError or HttpError for one that can not be had.
    """
    control = ControlSocket(
        facts.data_dir / SOCKET, runtime, facts, modules=MODULES, allow_faults=allow_faults, office=office
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
