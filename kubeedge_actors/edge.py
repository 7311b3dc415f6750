"""python -m kubeedge_actors.edge: choose the drivers of one edge node, build its supervision tree, serve until told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

from kubeedge_actors import __version__
from kubeedge_actors.actors.devicetwin.actor import DeviceTwin
from kubeedge_actors.actors.edged.actor import Edged
from kubeedge_actors.actors.edged.internal import LinkSeen
from kubeedge_actors.actors.edgehub.actor import EdgeHub
from kubeedge_actors.actors.edgehub.alone import Alone
from kubeedge_actors.actors.eventbus import EventBus
from kubeedge_actors.actors.metamanager.actor import MetaManager
from kubeedge_actors.actors.servicebus import ServiceBus
from kubeedge_actors.config import MQTT_PORT, EdgeConfig, edge_settings, merged, yaml_documents
from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.drivers.broker.base import Broker
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.drivers.containers.folders import PodFolders
from kubeedge_actors.drivers.containers.host import LinuxHost
from kubeedge_actors.drivers.containers.manifests import ManifestFolder
from kubeedge_actors.drivers.containers.probes import NetworkProber
from kubeedge_actors.drivers.http.stdlib import StdlibClient, StdlibServer
from kubeedge_actors.drivers.link.base import Credentials
from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.link.credentials import NodeCredentials
from kubeedge_actors.drivers.store.base import Store
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.errors import CertificateError, LinkError, RuntimeUnavailable, UsageError
from kubeedge_actors.letters import FILE as LETTERS
from kubeedge_actors.letters import LetterOffice
from kubeedge_actors.module import load_module
from kubeedge_actors.program import (
    LEVELS,
    DataDir,
    Ending,
    absolute,
    default_data_dir,
    end_with_the_tree,
    log_to_stderr,
    ready,
    run,
)
from kubeedge_actors.supervisors import ChildSpec, Intensity, OneForOne, Runtime, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.wire import mapping
from kubeedge_actors.wire.messages import (
    LinkDown,
    LinkUp,
    MqttReceived,
    MqttSubscribe,
    MqttUnsubscribe,
    QueryClusterCa,
    RequestApi,
    TwinUpdated,
    UnknownRecord,
)

log = logging.getLogger(__name__)

STOPPING = 8.0
JOIN_SECONDS = 5.0
EXTENSION_POINTS = frozenset(
    {TwinUpdated, MqttReceived, MqttSubscribe, MqttUnsubscribe, UnknownRecord, RequestApi, QueryClusterCa}
)
"""What modules of one's own may take or say; nothing is wrong when nobody does."""
FATE = OneForOne(Intensity(restarts=10, within=60.0))
"""One module that fails for a minute ends the process with a sentence; two poison messages do not."""
MODULES = "modules"
OWN_FATE = OneForOne(Intensity(restarts=1_000, within=10.0))
"""Modules of one's own share no fate with the node: however often they fail, back-off is all that slows them."""
ON_THE_LINK = mapping.UPWARD | mapping.DOWNWARD | {LinkUp, LinkDown}
NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    options = _parser().parse_args(arguments)
    log_to_stderr(options.log_level)

    def body(ending: Ending) -> None:
        settings = edge_settings(options.config) if options.config else {}
        options.modules = tuple(options.modules) if options.modules else None
        serve(checked(merged(EdgeConfig, settings, vars(options))), ending, allow_faults=options.allow_faults)

    return run("edge", body)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kubeedge_actors.edge",
        description="One edge node: pods, device twins and an MQTT broker, with a cloud or alone.",
        epilog="Without --cloud the node works alone: broker, twins, static pods from --manifests.",
    )
    add = parser.add_argument
    add("--name", help="of the node (default: this machine's host name)")
    add("--cloud", metavar="URL", help="where certificates come from: https://HOST:10002")
    add("--hub", metavar="URL", help="message channel (default: wss://, the cloud's host, port 10000)")
    add("--token", help="join token, for the first start only")
    add("--token-file", metavar="FILE", help="file with the join token")
    add("--data-dir", type=absolute, metavar="DIR", help=f"holds all state (default: {default_data_dir('edge')})")
    add(
        "--runtime",
        choices=("auto", "docker", "process"),
        help="how pods run: auto takes Docker when an engine answers",
    )
    add("--docker-host", metavar="URL", help="Docker engine (default: $DOCKER_HOST, then unix:///var/run/docker.sock)")
    add("--mqtt-port", type=int, metavar="PORT", help=f"port of the embedded broker (default: {MQTT_PORT})")
    add(
        "--mqtt", metavar="URL", help="use this external broker instead: tcp://HOST:PORT, ssl://USER:PASSWORD@HOST:PORT"
    )
    add("--manifests", metavar="DIR", help="static pods: every manifest in this folder runs")
    add("--module", action="append", dest="modules", metavar="pkg.file:Class", help="a module of your own; repeatable")
    add("--config", metavar="FILE", help="KubeEdge's edgecore.yaml; options win over it")
    add("--allow-faults", action="store_true", help="let the control socket crash actors, to see what happens")
    add("--log-level", choices=LEVELS, default="warning", help="what goes to standard error (default: warning)")
    return parser


def checked(config: EdgeConfig) -> EdgeConfig:
    """The config with what the machine adds; UsageError for what can not be meant."""
    import dataclasses

    name = config.name or socket.gethostname().lower()
    if not NODE_NAME.fullmatch(name):
        raise UsageError(f"--name: {name!r} is no name of a node: small letters, digits, '-' and '.'")
    for option, url, scheme in (("--cloud", config.cloud, "https"), ("--hub", config.hub, "wss")):
        if url and (urlsplit(url).scheme != scheme or not urlsplit(url).hostname):
            raise UsageError(f"{option}: {url!r} is no address of the form {scheme}://HOST:PORT")
    if config.hub and not config.cloud:
        raise UsageError("--hub needs --cloud, where the node's certificate comes from")
    return dataclasses.replace(config, name=name)


def serve(config: EdgeConfig, ending: Ending, *, allow_faults: bool = False) -> None:
    """Start everything, say `ready`, stop everything when `ending` is asked for."""
    own = [load_module(path).spec() for path in config.modules]
    token = _token(config)
    with ExitStack() as stack:
        data = DataDir(config.data_dir)
        stack.callback(data.close)
        store = SqliteStore(data.path / "edge.db")
        stack.callback(store.close)
        pods = data.path / "pods"
        containers = container_runtime(config, pods)
        stack.callback(containers.close)
        mqtt = broker(config)
        mqtt.start()
        stack.callback(mqtt.close)
        office = stack.enter_context(closing(LetterOffice(data.path / LETTERS)))
        optional = EXTENSION_POINTS if config.cloud else EXTENSION_POINTS | ON_THE_LINK
        runtime = Runtime(ThreadsEngine(), dead_letters=office, optional=optional)
        credentials = NodeCredentials(data.path / "certs", config.name, config.cloud, token)
        if config.cloud and not (data.path / "certs").exists():
            join(credentials)
        modules = tree(config, store, containers, mqtt, credentials, ending, facts=_wanted(own))
        runtime.start(SupervisorSpec("edge", [*modules, SupervisorSpec(MODULES, own, OWN_FATE)], FATE))
        stack.callback(runtime.stop, STOPPING)
        end_with_the_tree(runtime, ending)
        control = ControlSocket(data.path / SOCKET, runtime, modules=MODULES, allow_faults=allow_faults, office=office)
        control.start()
        stack.callback(control.close)
        ready(
            f"edge {config.name}: MQTT on {mqtt.address}, pods by {containers.version()}, cloud {config.cloud or 'none'}"
        )
        ending.wait()


def join(credentials: Credentials) -> None:
    """Fetch the first certificates before serving, so that a wrong token ends the command at once; CertificateError then.

    A cloud that can not be reached is no reason to wait: EdgeHub goes on trying.
    """
    refusals: list[CertificateError] = []

    def attempt() -> None:
        try:
            credentials.obtain()
        except CertificateError as refusal:
            refusals.append(refusal)
        except LinkError as error:
            log.warning("the cloud can not be reached, the node starts without it: %s", error)

    thread = threading.Thread(target=attempt, name="join", daemon=True)
    thread.start()
    thread.join(JOIN_SECONDS)
    if refusals:
        raise refusals[0]


def tree(
    config: EdgeConfig,
    store: Store,
    containers: ContainerRuntime,
    mqtt: Broker,
    credentials: Credentials,
    ending: Ending,
    *,
    facts: bool,
) -> list[ChildSpec]:
    """The modules in start order: who is told starts before who tells; the link comes last and goes first."""
    subscribed, seen, cloud = set[str](), LinkSeen(), bool(config.cloud)
    modules = [
        MetaManager.spec(lambda: MetaManager(store.meta, cloud=cloud)),
        DeviceTwin.spec(lambda: DeviceTwin(config.name, store.twin, cloud=cloud, facts=facts)),
        ServiceBus.spec(lambda: ServiceBus(store.targets, StdlibClient(), StdlibServer())),
        EventBus.spec(lambda: EventBus(config.name, [mqtt], store.topics, subscribed)),
        Edged.spec(lambda: edged(config, containers, seen)),
    ]
    if not config.cloud:
        modules.append(Alone.spec())
    else:
        links = WebSocketLinks()
        modules.append(
            EdgeHub.spec(
                lambda: EdgeHub(
                    node_name=config.name,
                    url=config.hub_url,
                    links=links,
                    credentials=credentials,
                    outbox=store.outbox,
                    heartbeat=config.heartbeat,
                    project=config.project,
                    refused=ending.ask,
                )
            )
        )
    return modules


def edged(config: EdgeConfig, containers: ContainerRuntime, seen: LinkSeen) -> Edged:
    """Edged with the drivers of this machine; `seen` outlives it."""
    pods = config.data_dir / "pods"
    return Edged(
        node_name=config.name,
        runtime=containers,
        folders=PodFolders(pods),
        host=LinuxHost(config.data_dir),
        prober=NetworkProber(),
        address=_address(config.cloud),
        product=__version__,
        manifests=ManifestFolder(Path(config.manifests), yaml_documents) if config.manifests else None,
        link=seen,
    )


def container_runtime(config: EdgeConfig, pods: Path) -> ContainerRuntime:
    """Docker when it is asked for or answers, processes otherwise; only the chosen driver is imported."""
    if config.runtime != "process":
        address = config.docker_host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        try:
            from kubeedge_actors.drivers.containers.docker import DockerRuntime

            # two nodes of one name may share an engine, their data directories differ
            return DockerRuntime(f"{config.name}@{config.data_dir}", address)
        except ImportError as error:
            if config.runtime == "docker":
                raise UsageError(
                    "the Docker runtime needs its library: pip install 'kubeedge-actors[docker]'"
                ) from error
        except RuntimeUnavailable as error:
            if config.runtime == "docker":
                raise RuntimeUnavailable(f"no Docker engine answers at {address}") from error
    from kubeedge_actors.drivers.containers.process import ProcessRuntime

    return ProcessRuntime(pods)


def broker(config: EdgeConfig) -> Broker:
    """The embedded broker, or a client of an external one; only the chosen driver is imported."""
    if config.mqtt:
        from kubeedge_actors.drivers.broker.external import ExternalBroker

        return ExternalBroker.at(config.mqtt)
    from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker

    return EmbeddedBroker(port=config.mqtt_port)


def _wanted(own: Sequence[ChildSpec]) -> bool:
    """Whether one of these modules wants to hear of every twin update."""
    return any(TwinUpdated in spec.accepts for spec in own)


def _token(config: EdgeConfig) -> Callable[[], str]:
    path = Path(config.token_file)

    def read() -> str:
        try:
            return path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the token file {path} can not be read: {error}") from error

    if config.token or not config.token_file:
        return lambda: config.token
    read()
    return read


def _address(cloud: str) -> str:
    """This machine's address as the cloud sees it; a UDP socket finds the route without sending anything."""
    where = urlsplit(cloud)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((where.hostname or "192.0.2.1", where.port or 9))
        except OSError:
            return "127.0.0.1"  # no route at all: the node works alone
        return str(probe.getsockname()[0])


if __name__ == "__main__":
    sys.exit(main())
