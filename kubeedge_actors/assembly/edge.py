"""What an edge node is made of: drivers as the config wants them, and the modules over them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from kubeedge_actors import __version__
from kubeedge_actors.actors.devicetwin.device_twin import DeviceTwin
from kubeedge_actors.actors.edged.edged import Edged
from kubeedge_actors.actors.edged.messages import LinkState
from kubeedge_actors.actors.edged.status.node_status import MAX_PODS
from kubeedge_actors.actors.edgehub.hub import EdgeHub
from kubeedge_actors.actors.edgehub.offline_edge_hub import OfflineEdgeHub
from kubeedge_actors.actors.edgehub.traffic import TrafficCounters
from kubeedge_actors.actors.edgestream.edge_stream import EdgeStream, EdgeStreamState
from kubeedge_actors.actors.edgestream.resource_sampler import ResourceSampler
from kubeedge_actors.actors.eventbus import EventBus, EventBusState
from kubeedge_actors.actors.metamanager.manager import MetaManager
from kubeedge_actors.actors.servicebus import ServiceBus
from kubeedge_actors.actors.taskmanager import edge_task_manager
from kubeedge_actors.assembly.local_commands.pod_commands import NodePods
from kubeedge_actors.assembly.local_doors import metaserver_tls
from kubeedge_actors.assembly.port_errors import ChosenPort, naming_port_options, port_error
from kubeedge_actors.config import METASERVER_PORT, EdgeConfig, parse_yaml_documents
from kubeedge_actors.drivers.bootstrap.certificate_manager import has_joined
from kubeedge_actors.drivers.broker.base import Broker
from kubeedge_actors.drivers.containers.base import ContainerRuntime, LogLimits
from kubeedge_actors.drivers.http.stdlib_client import StdlibHttpClient
from kubeedge_actors.drivers.http.stdlib_upload_server import StdlibUploadServer
from kubeedge_actors.drivers.link.base import CertificateSource, Link
from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.machine.linux import LinuxMachine
from kubeedge_actors.drivers.machine.network_prober import NetworkProber
from kubeedge_actors.drivers.machine.static_pods import StaticPodFolder
from kubeedge_actors.drivers.machine.volumes import LocalPodVolumes
from kubeedge_actors.drivers.store.base import MetaStore, NameStore, Store
from kubeedge_actors.entrypoint import Shutdown
from kubeedge_actors.errors import CertificateError, MapperError, RuntimeUnavailable, UsageError
from kubeedge_actors.install_hint import install_hint
from kubeedge_actors.osutil.sockets import LOOPBACK, is_loopback, node_address
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.supervisors.registry import Registry

log = logging.getLogger(__name__)

TUNNEL_PATIENCE = 300.0
"""Seconds for which a cloud may take nothing from the stream tunnel: a genuine one reads no more while one reader of a log does not."""


def edge_specs(
    config: EdgeConfig,
    store: Store,
    containers: ContainerRuntime,
    mqtt: Sequence[Broker],
    credentials: CertificateSource,
    shutdown: Shutdown,
    tally: TrafficCounters,
    links: Callable[[], Link],
    *,
    twin_updates_wanted: Callable[[], bool],
    registry: Registry,
) -> list[ChildSpec]:
    """The modules in start order: who is told starts before who tells; the link comes last and goes first."""
    event_bus_state, link_state, cloud = EventBusState(), LinkState(), bool(config.cloud)
    modules = [
        MetaManager.spec(lambda: MetaManager(store.meta, has_cloud=cloud, remote_seconds=config.remote_query_timeout)),
        DeviceTwin.spec(
            lambda: DeviceTwin(
                config.name, store.twin, has_cloud=cloud, publish_updates=twin_updates_wanted, meta=store.meta
            )
        ),
        ServiceBus.spec(lambda: make_service_bus(config, store)),
        EventBus.spec(lambda: EventBus(config.name, mqtt, store.subscribed_topics, event_bus_state)),
        Edged.spec(lambda: make_edged(config, containers, link_state)),
    ]
    if cloud:
        node = (config.name, LinuxMachine(config.data_dir), containers, store.meta)
        modules += edge_task_manager.child_specs(*node, takes_tasks=config.node_tasks)
    return [*modules, _edgehub(config, store, credentials, shutdown, tally, links, registry)]


def _edgehub(
    config: EdgeConfig,
    store: Store,
    credentials: CertificateSource,
    shutdown: Shutdown,
    tally: TrafficCounters,
    links: Callable[[], Link],
    registry: Registry,
) -> ChildSpec:
    if not config.cloud:
        return OfflineEdgeHub.spec()
    return EdgeHub.spec(
        lambda: EdgeHub(
            node_name=config.name,
            url=config.hub_url,
            link_factory=links,
            credentials=credentials,
            outbox=store.outbox,
            heartbeat=config.heartbeat,
            project=config.project,
            on_rejected=rejection_handler(config, shutdown),
            traffic=tally,
            accepting=registry.subscribers,
            types=registry.accepted_types,
        )
    )


def rejection_handler(config: EdgeConfig, shutdown: Shutdown) -> Callable[[str], object] | None:
    """What ends the command when the cloud refuses this node; None when it has joined before: then it says so and works offline."""
    return None if has_joined(config.data_dir / "certs", config.name) else shutdown.request


def make_service_bus(config: EdgeConfig, store: Store) -> ServiceBus:
    """ServiceBus with the HTTP of the standard library."""
    server = StdlibUploadServer(config.service_host, config.service_port)
    return ServiceBus(store.target_urls, StdlibHttpClient(), server, timeout=config.service_timeout)


def service_port_error(config: EdgeConfig, targets: NameStore) -> str:
    """What the ready line says when local programs may call the cloud, and the port for that can not be had yet."""
    if not targets.all():
        return ""
    reason = port_error(ChosenPort("--service-port", config.service_port, "--service-host", config.service_host))
    return f"; local programs can not call the cloud yet: {reason}" if reason else ""


def make_edged(config: EdgeConfig, containers: ContainerRuntime, link: LinkState) -> Edged:
    """Edged with the drivers of this machine; `link` outlives it."""
    pods, address = config.data_dir / "pods", config.node_ip or node_address(config.cloud)
    if config.cloud and not config.node_ip and address == LOOPBACK:
        log.warning(
            "this node tells %s as its address, which nobody else can use: give another one with --node-ip", address
        )
    return Edged(
        node_name=config.name,
        runtime=containers,
        folders=LocalPodVolumes(pods),
        host=LinuxMachine(config.data_dir),
        prober=NetworkProber(lambda: install_hint("probes")),
        address=address,
        product=__version__,
        manifests=StaticPodFolder(Path(config.manifests), parse_yaml_documents) if config.manifests else None,
        labels=dict(label.split("=", 1) for label in config.labels),
        link=link,
        events=config.report_events,
        api=_metaserver_address(config) if config.metaserver else None,
    )


def choose_container_runtime(config: EdgeConfig, pods: Path) -> ContainerRuntime:
    """Docker when it is asked for or answers, processes otherwise; only the chosen driver is imported."""
    log_limits = LogLimits(max_size=config.container_log_max_size, max_files=config.container_log_max_files)
    if config.runtime != "process":
        named = config.docker_host or os.environ.get("DOCKER_HOST", "")
        address = named or "unix:///var/run/docker.sock"
        try:
            from kubeedge_actors.drivers.containers.docker import DockerRuntime

            # two nodes of one name may share an engine, their data directories differ
            owner, subpaths = f"{config.name}@{config.data_dir}", config.data_dir / "volume-subpaths"
            return DockerRuntime(owner, address, subpaths=subpaths, log_limits=log_limits)
        except ImportError as error:
            if config.runtime == "docker":
                raise UsageError(f"the Docker runtime needs its library: {install_hint('docker')}") from error
        except RuntimeUnavailable as error:
            if config.runtime == "docker":
                raise RuntimeUnavailable(f"no Docker engine answers at {address}") from error
            if named:
                log.warning("no Docker engine answers at %s: pods run as processes of this machine", address)
    from kubeedge_actors.drivers.containers.process import ProcessRuntime

    return ProcessRuntime(pods, log_limits)


def dmi_specs(config: EdgeConfig, meta: MetaStore, stack: ExitStack) -> list[ChildSpec]:
    """The interface to device mappers, serving until `stack` is closed, if it is wanted; imported only then."""
    if not config.dmi:
        return []
    from kubeedge_actors.actors.dmi.call_queue import MapperCallQueues
    from kubeedge_actors.actors.dmi.dmi import Dmi

    try:
        from kubeedge_actors.drivers.dmi.grpc_server import GrpcDmiServer
    except ImportError as error:
        raise UsageError(f"--dmi needs its libraries: {install_hint('dmi')}") from error
    mappers, lines = GrpcDmiServer(config.data_dir / config.dmi), MapperCallQueues()
    try:
        mappers.start()
    except MapperError as error:
        raise MapperError(f"--dmi: {error}") from error
    stack.callback(mappers.close)
    return [Dmi.spec(lambda: Dmi(meta, mappers, lines))]


def _metaserver_address(config: EdgeConfig) -> tuple[str, int]:
    address = urlsplit(f"//{config.metaserver}")
    return address.hostname or "127.0.0.1", METASERVER_PORT if address.port is None else address.port


def meta_server_specs(config: EdgeConfig, meta: MetaStore, stack: ExitStack, pods: NodePods) -> list[ChildSpec]:
    """The API of the node for programs on it, bound until `stack` is closed, if it is wanted; imported only then."""
    if not config.metaserver:
        return []
    from kubeedge_actors.actors.metamanager.metaserver.meta_server import MetaServer, MetaServerState
    from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import ANYBODY, TokenAuthorizer
    from kubeedge_actors.drivers.cluster.selectors import Selector
    from kubeedge_actors.drivers.http.stdlib_http_server import StdlibHttpServer

    host, port = _metaserver_address(config)
    site = StdlibHttpServer(host, port, context=metaserver_tls(config, host))
    with naming_port_options(ChosenPort("--metaserver", port, "--metaserver", host)):
        site.bind()
    stack.callback(site.close)
    state = MetaServerState()
    authorizer = TokenAuthorizer(meta, config.metaserver_readers, ANYBODY if is_loopback(host) else None, time.time)
    return [
        MetaServer.spec(
            lambda: MetaServer(
                site,
                meta,
                lambda *terms: Selector(*terms).matches,
                time.time,
                authorizer,
                config.name,
                has_cloud=bool(config.cloud),
                state=state,
                pods=pods,
            )
        )
    ]


def edge_stream_specs(
    config: EdgeConfig, containers: ContainerRuntime, credentials: CertificateSource
) -> list[ChildSpec]:
    """The way for logs to the cloud, if there is one; a link of its own, so that EdgeHub's never waits for a reader of logs."""
    if not (config.cloud and config.streams):
        return []
    address, links, stream_state = (
        config.node_ip or node_address(config.cloud),
        WebSocketLinks("latin-1", TUNNEL_PATIENCE),
        EdgeStreamState(),
    )
    sampler = ResourceSampler(config.name, containers, LinuxMachine(config.data_dir))
    whom = (config.name, address, config.tunnel_url, links, credentials)
    return [
        EdgeStream.spec(lambda: EdgeStream(*whom, containers, stream_state, sampler, kubelet_configuration(config)))
    ]


def kubelet_configuration(config: EdgeConfig) -> dict[str, object]:
    """The fields of a KubeletConfiguration that hold on this node."""
    return {
        "maxPods": MAX_PODS,
        "containerLogMaxSize": str(config.container_log_max_size),
        "containerLogMaxFiles": config.container_log_max_files,
        "staticPodPath": config.manifests or "",
    }


def token_reader(config: EdgeConfig) -> Callable[[], str]:
    """How to get the join token when one is needed; a token file may change, so it is read each time."""
    path = Path(config.token_file)

    def read() -> str:
        try:
            return path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CertificateError(f"the token file {path} can not be read: {error}") from error

    return (lambda: config.token) if config.token or not config.token_file else read
