"""python -m kubeedge_actors.edge: choose the drivers of one edge node, build its supervision tree, serve until told to stop."""

from __future__ import annotations

import dataclasses
import logging
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from kubeedge_actors.options.parsers import parser

if __name__ == "__main__":
    parser("edge").parse_args()  # ends here for --help, before any library is needed
from kubeedge_actors.actors.edgehub.traffic import TrafficCounters
from kubeedge_actors.actors.eventbus import FIXED_FILTERS
from kubeedge_actors.assembly import admin_endpoints
from kubeedge_actors.assembly.datadir import DataDir, encryption_keys
from kubeedge_actors.assembly.edge import (
    choose_container_runtime,
    dmi_specs,
    edge_specs,
    edge_stream_specs,
    meta_server_specs,
    service_port_error,
    token_reader,
)
from kubeedge_actors.assembly.local_commands.device_commands import device_commands
from kubeedge_actors.assembly.local_commands.pod_commands import ADMIN_QUERIES, NodePods, pod_commands
from kubeedge_actors.assembly.mqtt import start_brokers
from kubeedge_actors.assembly.queries.edge import edge_queries
from kubeedge_actors.assembly.ready_line import Deadline, broker_addresses, not_started_text, with_unready_reason
from kubeedge_actors.config import EdgeConfig
from kubeedge_actors.control.process_info import ProcessInfo
from kubeedge_actors.deadletters.durable_dead_letters import FILE as LETTERS
from kubeedge_actors.deadletters.durable_dead_letters import DurableDeadLetters
from kubeedge_actors.drivers.bootstrap.certificate_manager import CertificateManager, has_joined
from kubeedge_actors.drivers.bootstrap.import_certificates import import_certificates
from kubeedge_actors.drivers.link.base import CertificateSource
from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.link.link_monitor import LinkMonitor
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.store.mailboxes import FILE as MAILBOXES
from kubeedge_actors.drivers.store.mailboxes import MailboxFile
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.entrypoint import Shutdown, log_to_stderr, print_ready, run, shut_down_with_root_supervisor
from kubeedge_actors.errors import CertificateError, LinkError, UsageError
from kubeedge_actors.options.config_reader import read_config
from kubeedge_actors.options.edge import EDGE
from kubeedge_actors.options.value_kinds import NAME
from kubeedge_actors.plugins import plugin_specs
from kubeedge_actors.supervisors import ActorSystem, Intensity, OneForOne, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.wire import mapping
from kubeedge_actors.wire.messages import (
    ApplicationRequest,
    CustomMessage,
    LinkDown,
    LinkUp,
    MessageNotRead,
    MqttReceived,
    MqttSubscribe,
    MqttUnsubscribe,
    QueryClusterCa,
    TwinQuery,
    TwinUpdated,
    UnknownMessage,
)

log = logging.getLogger(__name__)

STOP_TIMEOUT = 8.0
JOIN_SECONDS = 5.0
EXTENSION_POINTS = frozenset(
    {
        TwinUpdated,
        MqttReceived,
        MqttSubscribe,
        MqttUnsubscribe,
        UnknownMessage,
        ApplicationRequest,
        QueryClusterCa,
        CustomMessage,
        MessageNotRead,
        TwinQuery,
    }
)
"""What modules of one's own may take or say; nothing is wrong when nobody does."""
ROOT_STRATEGY = OneForOne(Intensity(max_restarts=10, period=60.0))
"""One module that fails for a minute ends the process with a sentence; two poison messages do not."""
PLUGIN_STRATEGY = OneForOne(Intensity(max_restarts=1_000, period=10.0))
"""Modules of one's own share no fate with the node: however often they fail, back-off is all that slows them."""
LINK_MESSAGES = mapping.UPWARD | mapping.DOWNWARD | {LinkUp, LinkDown}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    options = parser("edge").parse_args(arguments)

    def body(shutdown: Shutdown) -> None:
        overrides = EDGE.parse_options(options)
        log_to_stderr(overrides.get("log_level", "warning"))  # the file may give reason to warn
        config = complete_config(read_config(EdgeConfig, options.config, overrides))
        log_to_stderr(config.log_level)
        serve(config if options.cloud else drop_unjoinable_cloud(config), shutdown)

    return run("edge", body)


def complete_config(config: EdgeConfig) -> EdgeConfig:
    """The config with what the machine adds; UsageError for what can not be meant."""
    name = config.name or socket.gethostname().lower()
    try:
        NAME.read(name)
    except ValueError as error:
        raise UsageError(f"--name: {error}") from error
    if config.hub and not config.cloud:
        raise UsageError("--hub needs --cloud, where the node's certificate comes from")
    return dataclasses.replace(config, name=name)


def drop_unjoinable_cloud(config: EdgeConfig) -> EdgeConfig:
    """The config as it is, or without its cloud when there is nothing to join that with: every edgecore.yaml names a cloud."""
    if not config.cloud or not config.cert_file or config.token or config.token_file:
        return config
    if (config.data_dir / "certs" / "node.crt").exists() or Path(config.cert_file).exists():
        return config
    log.warning(
        "no token and no certificate for the cloud %s of the configuration file: the node works alone", config.cloud
    )
    return dataclasses.replace(config, cloud="", hub="")


def serve(config: EdgeConfig, shutdown: Shutdown) -> None:
    """Start everything, say `ready`, stop everything when `shutdown` is asked for."""
    own = plugin_specs(config.modules, config.module_config)
    token = _readable(token_reader(config), config.data_dir / "certs" / "node.crt")
    with ExitStack() as stack:
        data = DataDir(config.data_dir)
        stack.callback(data.close)
        keys = encryption_keys(config)
        store = SqliteStore(data.path / "edge.db", keys)
        stack.callback(store.close)
        containers = stack.enter_context(closing(choose_container_runtime(config, data.path / "pods")))
        mqtt = start_brokers(config, (*FIXED_FILTERS, *store.subscribed_topics.all()), stack)
        dead_letters = stack.enter_context(closing(DurableDeadLetters(data.path / LETTERS, keys=keys)))
        optional = EXTENSION_POINTS | ADMIN_QUERIES | (frozenset() if config.cloud else LINK_MESSAGES)
        journal = MailboxFile(data.path / MAILBOXES, keys)
        system = ActorSystem(ThreadsEngine(), dead_letters=dead_letters, optional_types=optional, journal=journal)
        if config.cloud:
            import_certificates(data.path / "certs", (config.ca_file, config.cert_file, config.key_file))
        credentials = CertificateManager(data.path / "certs", config.name, config.cloud, token)
        joined = not config.cloud or has_joined(data.path / "certs", config.name) or try_join(credentials)
        tally, links, wanted = TrafficCounters(), LinkMonitor(WebSocketLinks()), partial(_twin_updates_wanted, system)
        drivers = (store, containers, mqtt, credentials, shutdown, tally, links)
        modules = edge_specs(config, *drivers, twin_updates_wanted=wanted, registry=system.registry)
        served = meta_server_specs(config, store.meta, stack, NodePods(system, containers))
        first = [*edge_stream_specs(config, containers, credentials), *dmi_specs(config, store.meta, stack)]
        stack.callback(system.stop, STOP_TIMEOUT)
        plugins = SupervisorSpec(admin_endpoints.MODULES, own, PLUGIN_STRATEGY, start_timeout=admin_endpoints.PATIENCE)
        info = ProcessInfo("edge", config.name, data.path, links.state if config.cloud else None, tally.snapshot)
        more = pod_commands(system, containers).joined_with(device_commands(store.meta, store.twin))
        more = more.joined_with(edge_queries(store, info))
        show = admin_endpoints.serve_admin_endpoints(stack, system, info, dead_letters, config, more)
        unserved = service_port_error(config, store.target_urls)
        system.start(SupervisorSpec("edge", [*first, *modules, *served, plugins], ROOT_STRATEGY))
        shut_down_with_root_supervisor(system, shutdown)
        show()
        deadline = Deadline()
        summary = f"MQTT on {broker_addresses(mqtt, deadline)}, pods by {containers.version()}"
        cloud = _cloud(config, links, deadline, joined=joined)
        print_ready(f"edge {config.name}: {summary}, {cloud}{unserved}{not_started_text(system.tree())}", shutdown)
        shutdown.wait()


def _cloud(config: EdgeConfig, links: LinkMonitor, deadline: Deadline, *, joined: bool) -> str:
    """The cloud, and why it is not there, for the ready line."""
    if not config.cloud:
        return "cloud none"
    offline = links.unready_reason(deadline.remaining()) if joined else "this node has not joined it"
    return with_unready_reason(f"cloud {config.cloud}", offline)


def _readable(token: Callable[[], str], certificate: Path) -> Callable[[], str]:
    """The same, known to be readable: UsageError when it is not and the node, which has no certificate, needs it."""
    try:
        token()
    except CertificateError as error:
        if not certificate.exists():
            raise UsageError(str(error)) from error
        log.warning("%s; the certificates of this node are used as long as they are good", error)
    return token


def try_join(credentials: CertificateSource) -> bool:
    """Fetch the first certificates before serving, so that a wrong token, or none, ends the command at once; CertificateError then.

    A cloud that can not be reached is no reason to wait, EdgeHub goes on trying: False then.
    """
    refusals: list[CertificateError] = []
    joined: list[TlsPaths] = []

    def attempt() -> None:
        try:
            joined.append(credentials.obtain())
        except CertificateError as refusal:
            refusals.append(refusal)
        except LinkError as error:
            log.warning("the cloud can not be reached, the node starts without it: %s", error)

    thread = threading.Thread(target=attempt, name="join", daemon=True)
    thread.start()
    thread.join(JOIN_SECONDS)
    if refusals:
        raise refusals[0]
    return bool(joined)


def _twin_updates_wanted(system: ActorSystem) -> bool:
    """Whether a module wants to hear of every twin update: there may be one tomorrow that there is not today."""
    return bool(system.registry.subscribers(TwinUpdated))


if __name__ == "__main__":
    sys.exit(main())
