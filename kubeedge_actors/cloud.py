"""python -m kubeedge_actors.cloud: choose the drivers of the cloud side, build its supervision tree, serve until told to stop."""

from __future__ import annotations

import socket
import sys
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from kubeedge_actors.install_hint import install_hint
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import POD_KIND
from kubeedge_actors.options.parsers import parser

if __name__ == "__main__":
    parser("cloud").parse_args()  # ends here for --help, before any library is needed
try:
    from kubeedge_actors.apiserver import COMPILER, ApiServer, TlsFiles, kubeconfig
except ModuleNotFoundError as missing:
    # installed without the extra; under `python -m` nobody else could say it in a sentence
    print(f"cloud: it needs the library {missing.name}: {install_hint('cloud')}", file=sys.stderr)
    sys.exit(2)
from kubeedge_actors.actors.cloudhub.credential_rotation import CredentialRotator
from kubeedge_actors.actors.cloudhub.hub import CloudHub
from kubeedge_actors.actors.cloudhub.messages import ListenConfig
from kubeedge_actors.actors.cloudhub.traffic import TrafficCounters
from kubeedge_actors.actors.cloudmodules import object_watcher as cloudmodules
from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.actors.dynamiccontroller import controller as dynamiccontroller
from kubeedge_actors.actors.leadership import leader_elector as leadership
from kubeedge_actors.assembly import admin_endpoints
from kubeedge_actors.assembly.bootstrap import serve_bootstrap
from kubeedge_actors.assembly.cloud_modules import EXTENSION_POINTS, leader_specs, supervision_tree
from kubeedge_actors.assembly.datadir import DataDir, encryption_keys
from kubeedge_actors.assembly.kubelet import ClusterSide, KubeletSide, serve_kubelets
from kubeedge_actors.assembly.own_names import ANY_ADDRESS, how_to_advertise, how_to_reach, names_of_machine
from kubeedge_actors.assembly.port_errors import ChosenPort, naming_port_options
from kubeedge_actors.assembly.prerequisites import ensure_prerequisites
from kubeedge_actors.assembly.queries.cloud import CloudStates
from kubeedge_actors.assembly.ready_line import not_started_text
from kubeedge_actors.assembly.revocation import RevocationGate
from kubeedge_actors.assembly.router import RouterSide
from kubeedge_actors.assembly.static_tokens import static_tokens
from kubeedge_actors.assembly.streams import cloud_stream_specs, node_sources, tunnel_listener
from kubeedge_actors.config import CloudConfig
from kubeedge_actors.control.process_info import ProcessInfo
from kubeedge_actors.deadletters.durable_dead_letters import FILE as LETTERS
from kubeedge_actors.deadletters.durable_dead_letters import DurableDeadLetters
from kubeedge_actors.drivers.bootstrap.secret_authority import SecretBackedAuthority
from kubeedge_actors.drivers.bootstrap.server import BootstrapServer
from kubeedge_actors.drivers.cluster.client_config import ClientConfig, from_kubeconfig, in_cluster_config
from kubeedge_actors.drivers.cluster.delegated import KubernetesDelegatedApi
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.store.mailboxes import FILE as MAILBOXES
from kubeedge_actors.drivers.store.mailboxes import MailboxFile
from kubeedge_actors.drivers.store.node_outbox import FILE as OUTBOX
from kubeedge_actors.drivers.store.node_outbox import NodeOutboxDb
from kubeedge_actors.entrypoint import (
    Shutdown,
    log_to_stderr,
    print_hint,
    print_ready,
    run,
    shut_down_with_root_supervisor,
)
from kubeedge_actors.errors import UsageError
from kubeedge_actors.options.cloud import CLOUD
from kubeedge_actors.options.config_reader import read_config
from kubeedge_actors.osutil.cipher import KeyRing
from kubeedge_actors.osutil.files import write_atomically
from kubeedge_actors.osutil.open_files import raise_limit
from kubeedge_actors.plugins import plugin_specs
from kubeedge_actors.supervisors import ActorSystem, ChildSpec, Intensity, OneForOne, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine

STOP_TIMEOUT = 7.0
PLUGIN_STRATEGY = OneForOne(Intensity(max_restarts=1_000, period=10.0))
"""Modules of one's own share no fate with the process: however often they fail, back-off is all that slows them."""
ELECTION_TIMEOUT = 3.0
"""Seconds for each step of a request about the Lease: one that takes longer must not keep the next from being tried."""
REPLICA = "replica"
"""File in the data directory with the name under which this replica stands for election, over its restarts."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    options = parser("cloud").parse_args(arguments)

    def body(shutdown: Shutdown) -> None:
        overrides = CLOUD.parse_options(options)
        log_to_stderr(overrides.get("log_level", "warning"))  # the file may give reason to warn
        config = read_config(CloudConfig, options.config, overrides)
        log_to_stderr(config.log_level)
        raise_limit()  # each node is a connection
        serve(config, shutdown)

    return run("cloud", body)


def serve(config: CloudConfig, shutdown: Shutdown) -> None:
    """Start everything, say `ready`, stop everything when `shutdown` is asked for."""
    own = plugin_specs(config.modules, config.module_config)
    with ExitStack() as stack:
        data = stack.enter_context(closing(DataDir(config.data_dir)))
        keys = encryption_keys(config)
        authority = stack.enter_context(closing(FileAuthority(data.path / "certs", node_days=config.certificate_days)))
        own_names = [*config.advertise, *names_of_machine(config.host)]
        loop, tunnels, traffic = _loop(stack), TunnelRegistry(), TrafficCounters()
        server = _hub_server(config, loop, stack)
        tunnel_server = tunnel_listener(config, loop, stack)
        gate = RevocationGate(data.path, (server, tunnel_server))
        access, cluster, shared = _api(config, authority, own_names, stack, shutdown, tunnels, gate, keys)
        tls = shared.server_certificate(own_names)
        side = ClusterSide(authority, access, cluster, tunnels, tls)
        kubelet = serve_kubelets(config, loop, stack, side)
        router = RouterSide(config, side, stack, kubelet.endpoint.replica)
        revocations, watch = gate.watch(cluster)
        bootstrap = serve_bootstrap(config, authority, cluster, revocations, loop, tls, stack)
        dead_letters, outbox, system = _system(data.path, keys, stack)
        states = CloudStates.of(cluster, outbox, traffic)
        hub = _hub(config, server, tls, system, traffic)
        streams = cloud_stream_specs(config, tunnel_server, tls, tunnels, cluster, kubelet)
        renew = partial(_renew, shared, own_names, (server, bootstrap, kubelet, tunnel_server, router))
        candidates = _candidate_specs(access, cluster, replica_identity(data.path), system, stack)
        modules = SupervisorSpec(admin_endpoints.MODULES, own, PLUGIN_STRATEGY, start_timeout=admin_endpoints.PATIENCE)
        stack.callback(system.stop, STOP_TIMEOUT)
        info = ProcessInfo("cloud", own_names[0], data.path, lambda: _link(server, traffic), traffic.snapshot)
        show = admin_endpoints.serve_admin_endpoints(stack, system, info, dead_letters, config, states.commands())
        rotator = _rotator_spec(shared, data.path / "token", renew)
        others = [rotator, watch, *streams, *candidates, *cloudmodules.child_specs(cluster, system)]
        ahead, status_of = [*_call_specs(config, access, stack), *router.specs()], kubelet.status_of
        system.start(supervision_tree(hub, cluster, outbox, own_names[0], others, modules, states, status_of, ahead))
        router.serve(system)
        shut_down_with_root_supervisor(system, shutdown)
        show()
        _print_hints(config, own_names, kubelet.hint(), router.hint())
        reach = how_to_reach(config, has_streams=tunnel_server is not None)
        print_ready(f"cloud: {reach}{not_started_text(system.tree())}", shutdown)
        shutdown.wait()


def _print_hints(config: CloudConfig, own_names: Sequence[str], *others: str) -> None:
    print_hint("cloud", how_to_advertise(own_names) if config.host in ANY_ADDRESS else "", *others)


def _call_specs(config: CloudConfig, access: ClientConfig, stack: ExitStack) -> list[ChildSpec]:
    """What calls the API for programs of nodes, if it may."""
    if not config.dynamic_controller:
        return []
    return dynamiccontroller.child_specs(stack.enter_context(closing(KubernetesDelegatedApi(access))))


def _candidate_specs(
    access: ClientConfig, cluster: KubernetesCluster, identity: str, system: ActorSystem, stack: ExitStack
) -> list[ChildSpec]:
    """Who stands for election, and runs the leader's modules."""
    voting = stack.enter_context(closing(KubernetesCluster(access, ELECTION_TIMEOUT)))
    specs = leader_specs(cluster, is_embedded=cluster.compiler() == COMPILER)
    return leadership.child_specs(voting, identity, system, specs)


def _system(
    folder: Path, keys: KeyRing | None, stack: ExitStack
) -> tuple[DurableDeadLetters, NodeOutboxDb, ActorSystem]:
    """What is kept in files, and the actor system over it."""
    dead_letters = stack.enter_context(closing(DurableDeadLetters(folder / LETTERS, keys=keys)))
    outbox = stack.enter_context(closing(NodeOutboxDb(folder / OUTBOX, keys)))
    journal = MailboxFile(folder / MAILBOXES, keys)
    optional = EXTENSION_POINTS
    return (
        dead_letters,
        outbox,
        ActorSystem(ThreadsEngine(), dead_letters=dead_letters, optional_types=optional, journal=journal),
    )


def _rotator_spec(shared: SecretBackedAuthority, path: Path, renew: Callable[[], None]) -> ChildSpec:
    """What writes the join token to its file, after the first time, and renews certificates."""
    refresh = partial(shared.write_token, path)
    refresh()
    return CredentialRotator.spec(lambda: CredentialRotator(refresh, renew))


def _loop(stack: ExitStack) -> LoopThread:
    loop = LoopThread()
    stack.callback(loop.stop)
    return loop


def _hub_server(config: CloudConfig, loop: LoopThread, stack: ExitStack) -> WebSocketServer:
    """With its port, before anything else is begun."""
    server = WebSocketServer(loop)
    stack.callback(server.stop)
    with naming_port_options(_port("--hub-port", config.hub_port, config)):
        server.bind(config.host, config.hub_port)
    return server


def _port(option: str, port: int, config: CloudConfig) -> ChosenPort:
    return ChosenPort(option, port, "--host", config.host)


def _link(server: WebSocketServer, traffic: TrafficCounters) -> dict[str, Any]:
    return traffic.link_state() | {"unfinished_handshakes": server.unfinished}


def replica_identity(folder: Path) -> str:
    """The name of this replica: the machine's, and a part that stays with the data directory."""
    path = folder / REPLICA
    if not path.exists():
        write_atomically(path, uuid.uuid4().hex.encode())
    return f"{socket.gethostname()}_{path.read_text(encoding='ascii').strip()}"


def _access(config: CloudConfig) -> ClientConfig | None:
    """How to reach the cluster's API; None for the embedded one."""
    if config.kubeconfig and config.in_cluster:
        raise UsageError("--kubeconfig and --in-cluster exclude each other")
    if config.in_cluster:
        return in_cluster_config()
    return from_kubeconfig(Path(config.kubeconfig), config.context) if config.kubeconfig else None


def _api(
    config: CloudConfig,
    authority: FileAuthority,
    own_names: Sequence[str],
    stack: ExitStack,
    shutdown: Shutdown,
    tunnels: TunnelRegistry,
    gate: RevocationGate,
    keys: KeyRing | None,
) -> tuple[ClientConfig, KubernetesCluster, SecretBackedAuthority]:
    """The API, and what all replicas share through it.

    The embedded one is begun anew when it turns out to hold another CA than the data directory (whose certificates
    were lost): then its own certificate has to be another, too.
    """
    configured_access = _access(config)
    while True:
        with ExitStack() as attempt:
            access = configured_access or _embedded_api(
                config, authority, authority.server_certificate(own_names), attempt, tunnels, gate, keys
            )
            packed = (POD_KIND,) if configured_access else ()  # most pods of a real cluster are on other nodes
            cluster = attempt.enter_context(closing(KubernetesCluster(access, packed=packed)))
            ensure_prerequisites(cluster, lambda: shutdown.requested)
            shared = SecretBackedAuthority(authority, cluster, well_known.SYSTEM_NAMESPACE)
            if not shared.sync_ca() or configured_access:
                stack.enter_context(attempt.pop_all())
                return access, cluster, shared


def _hub(
    config: CloudConfig, server: WebSocketServer, tls: TlsPaths, system: ActorSystem, traffic: TrafficCounters
) -> ChildSpec:
    return CloudHub.spec(
        lambda: CloudHub(
            server,
            ListenConfig(config.host, config.hub_port, tls),
            cluster_ca=Path(tls.ca).read_text(encoding="ascii"),
            node_limit=config.node_limit,
            keepalive=config.keepalive,
            accepting=system.registry.subscribers,
            types=system.registry.accepted_types,
            traffic=traffic,
        )
    )


def _renew(
    shared: SecretBackedAuthority,
    names: Sequence[str],
    servers: Sequence[WebSocketServer | BootstrapServer | KubeletSide | RouterSide | None],
) -> None:
    tls = shared.server_certificate(names)
    for server in servers:
        if server is not None:
            server.reload_certificate(tls)


def _embedded_api(
    config: CloudConfig,
    authority: FileAuthority,
    tls: TlsPaths,
    stack: ExitStack,
    tunnels: TunnelRegistry,
    gate: RevocationGate,
    keys: KeyRing | None,
) -> ClientConfig:
    """Serve the embedded API; an administrator's access to it, by the kubeconfig that is written for people too."""
    api = ApiServer(
        database=config.data_dir / "cloud.db",
        host=config.host,
        port=config.api_port,
        tls=TlsFiles(Path(tls.cert), Path(tls.key), authority.ca_path),
        tokens=static_tokens(Path(config.token_auth_file)) if config.token_auth_file else None,
        **node_sources(tunnels),
        refusal=gate.refusal,
        keys=keys,
    )
    gate.attach(api)
    with naming_port_options(_port("--api-port", config.api_port, config)):
        api.start()
    stack.callback(api.stop)
    admin_endpoints = authority.client_certificate()
    path = config.data_dir / "kubeconfig"
    host = "127.0.0.1" if config.host in ANY_ADDRESS else config.host
    files = (authority.ca_path, Path(admin_endpoints.cert), Path(admin_endpoints.key))
    text = kubeconfig(f"https://{host}:{api.port}", *(file.read_bytes() for file in files))
    write_atomically(path, text.encode())
    return from_kubeconfig(path)


if __name__ == "__main__":
    sys.exit(main())
