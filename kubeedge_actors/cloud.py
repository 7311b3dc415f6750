"""python -m kubeedge_actors.cloud: choose the drivers of the cloud side, build its supervision tree, serve until told to stop."""

from __future__ import annotations

import socket
import sys
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from kubeedge_actors.installing import install_hint
from kubeedge_actors.options.parsers import parser

if __name__ == "__main__":
    parser("cloud").parse_args()  # ends here for --help, before any library is needed
try:
    from kubeedge_actors.apiserver import COMPILER, ApiServer, TlsFiles, kubeconfig
except ModuleNotFoundError as missing:
    # installed without the extra; under `python -m` nobody else could say it in a sentence
    print(f"cloud: it needs the library {missing.name}: {install_hint('cloud')}", file=sys.stderr)
    sys.exit(2)
from kubeedge_actors import observation
from kubeedge_actors.actors.cloudhub.actor import CloudHub, Listen
from kubeedge_actors.actors.cloudhub.keys import KeyKeeper
from kubeedge_actors.actors.cloudhub.traffic import Traffic
from kubeedge_actors.actors.cloudstream.tunnels import Tunnels
from kubeedge_actors.actors.devicecontroller import actor as devicecontroller
from kubeedge_actors.actors.edgecontroller import actor as edgecontroller
from kubeedge_actors.actors.leadership import actor as leadership
from kubeedge_actors.actors.nodelifecycle.actor import NodeLifecycle
from kubeedge_actors.actors.scheduler.actor import Scheduler
from kubeedge_actors.actors.synccontroller import actor as synccontroller
from kubeedge_actors.actors.workloads.actor import Workloads
from kubeedge_actors.config import CloudConfig
from kubeedge_actors.drivers.cluster.access import Access, from_kubeconfig, from_pod
from kubeedge_actors.drivers.cluster.base import NODE_KIND, Cluster
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.drivers.link.base import LinkTls
from kubeedge_actors.drivers.link.bootstrap_rules import BootstrapRules
from kubeedge_actors.drivers.link.bootstrap_server import BootstrapServer
from kubeedge_actors.drivers.link.loop import LoopThread
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.authority import ALWAYS, FileAuthority
from kubeedge_actors.drivers.pki.files import write_file
from kubeedge_actors.drivers.pki.shared import SharedAuthority
from kubeedge_actors.errors import NotFound, UsageError
from kubeedge_actors.facts import Facts
from kubeedge_actors.letters import FILE as LETTERS
from kubeedge_actors.letters import LetterOffice
from kubeedge_actors.modules import own_specs
from kubeedge_actors.options.cloud import CLOUD
from kubeedge_actors.options.reading import cloud_config
from kubeedge_actors.pod_streams import cloud_streams, exec_source, log_source, tunnel_listener
from kubeedge_actors.ports import Chosen, chosen_by
from kubeedge_actors.prerequisites import prepare
from kubeedge_actors.program import DataDir, Ending, end_with_the_tree, hint, log_to_stderr, ready, run
from kubeedge_actors.readiness import not_started
from kubeedge_actors.supervisors import ChildSpec, Intensity, OneForOne, Runtime, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import (
    AllowTarget,
    BusAnswered,
    BusPublish,
    BusSubscribe,
    BusUnsubscribe,
    BusUploaded,
    CallService,
    ForbidTarget,
    RequestApi,
    UnknownRecord,
)

STOPPING = 7.0
FATE = OneForOne(Intensity(restarts=10, within=60.0))
"""One module that fails for a minute ends the process with a sentence; two poison messages do not."""
EXTENSION_POINTS = frozenset(
    {BusPublish, BusSubscribe, BusUnsubscribe, BusAnswered, BusUploaded, AllowTarget, ForbidTarget, CallService}
    | {RequestApi, UnknownRecord}
)
"""What a router or a module of one's own may take or say; nothing is wrong when nobody does."""
OWN_FATE = OneForOne(Intensity(restarts=1_000, within=10.0))
"""Modules of one's own share no fate with the process: however often they fail, back-off is all that slows them."""
ANY_ADDRESS = ("0.0.0.0", "::", "")
ELECTION_TIMEOUT = 3.0
"""Seconds for each step of a request about the Lease: one that takes longer must not keep the next from being tried."""
REPLICA = "replica"
"""File in the data directory with the name under which this replica stands for election, over its restarts."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    options = parser("cloud").parse_args(arguments)

    def body(ending: Ending) -> None:
        given = CLOUD.given(options)
        log_to_stderr(given.get("log_level", "warning"))  # the file may give reason to warn
        config = cloud_config(options.config, given)
        log_to_stderr(config.log_level)
        serve(config, ending)

    return run("cloud", body)


def serve(config: CloudConfig, ending: Ending) -> None:
    """Start everything, say `ready`, stop everything when `ending` is asked for."""
    own = own_specs(config.modules)
    with ExitStack() as stack:
        data = stack.enter_context(closing(DataDir(config.data_dir)))
        authority = stack.enter_context(closing(FileAuthority(data.path / "certs", node_days=config.certificate_days)))
        own_names = [*config.advertise, *_names(config.host)]
        loop = _loop(stack)
        server = _hub_server(config, loop, stack)
        tunnels = Tunnels()
        tunnel_server = tunnel_listener(config, loop, stack)
        access, cluster, shared = _api(config, authority, own_names, stack, ending, tunnels)
        tls = shared.server(own_names)
        bootstrap = _bootstrap(config, authority, cluster, loop, tls, stack)
        refresh = partial(shared.write_token, data.path / "token")
        refresh()
        office = stack.enter_context(closing(LetterOffice(data.path / LETTERS)))
        runtime = Runtime(ThreadsEngine(), dead_letters=office, optional=EXTENSION_POINTS)
        traffic = Traffic()
        hub = _hub(config, server, tls, runtime, traffic)
        streams = cloud_streams(config, tunnel_server, tls, tunnels, cluster)
        renew = partial(_renew, shared, own_names, (server, bootstrap, *([tunnel_server] if tunnel_server else [])))
        keys = KeyKeeper.spec(lambda: KeyKeeper(refresh, renew))
        voting = stack.enter_context(closing(KubernetesCluster(access, ELECTION_TIMEOUT)))
        duties = own_controllers(cluster) if cluster.compiler() == COMPILER else []
        candidates = leadership.specs(voting, identity(data.path), runtime, duties)
        modules = SupervisorSpec(observation.MODULES, own, OWN_FATE, patience=observation.PATIENCE)
        stack.callback(runtime.stop, STOPPING)
        facts = Facts("cloud", own_names[0], data.path, lambda: _link(server, traffic), traffic.facts)
        show = observation.observe(stack, runtime, facts, office, config)
        runtime.start(tree(hub, cluster, own_names[0], [keys, *streams, *candidates], modules, traffic))
        end_with_the_tree(runtime, ending)
        show()
        if config.host in ANY_ADDRESS:
            hint("cloud", _how_to_advertise(own_names))
        without = "" if tunnel_server else _without_streams(config)
        ready(f"cloud: {_how_to_reach(config)}{without}{not_started(runtime.tree())}", ending)
        ending.wait()


def _loop(stack: ExitStack) -> LoopThread:
    loop = LoopThread()
    stack.callback(loop.stop)
    return loop


def _hub_server(config: CloudConfig, loop: LoopThread, stack: ExitStack) -> WebSocketServer:
    """With its port, before anything else is begun."""
    server = WebSocketServer(loop)
    stack.callback(server.stop)
    with chosen_by(_port("--hub-port", config.hub_port, config)):
        server.bind(config.host, config.hub_port)
    return server


def _port(option: str, port: int, config: CloudConfig) -> Chosen:
    return Chosen(option, port, "--host", config.host)


def tree(
    hub: ChildSpec,
    cluster: Cluster,
    address: str,
    candidates: Sequence[ChildSpec] = (),
    own: SupervisorSpec | None = None,
    traffic: Traffic | None = None,
) -> SupervisorSpec:
    """The modules in start order: the hub, who talks to its nodes through it, who stands for election; then one's own.

    SyncController is before the hub: who starts first is told first, so it knows of a push before the hub can drop it
    for want of a session. After the session it would take that push for one that is under way, and wait 30 s.
    """
    counted = traffic or Traffic()
    controllers = [
        *edgecontroller.specs(cluster, address, counts=counted.of(names.EDGECONTROLLER)),
        *devicecontroller.specs(cluster, counts=counted.of(names.DEVICECONTROLLER)),
    ]
    ahead = synccontroller.specs(cluster)
    return SupervisorSpec("cloud", [*ahead, hub, *controllers, *candidates, *([own] if own else [])], FATE)


def _link(server: WebSocketServer, traffic: Traffic) -> dict[str, Any]:
    return traffic.link() | {"unfinished_handshakes": server.unfinished}


def own_controllers(cluster: Cluster) -> list[ChildSpec]:
    """What a cluster does by itself and the embedded API does not: the leader runs it."""
    return [
        Scheduler.spec(lambda: Scheduler(cluster)),
        NodeLifecycle.spec(lambda: NodeLifecycle(cluster)),
        Workloads.spec(lambda: Workloads(cluster)),
    ]


def identity(folder: Path) -> str:
    """The name of this replica: the machine's, and a part that stays with the data directory."""
    path = folder / REPLICA
    if not path.exists():
        write_file(path, uuid.uuid4().hex.encode())
    return f"{socket.gethostname()}_{path.read_text(encoding='ascii').strip()}"


def _access(config: CloudConfig) -> Access | None:
    """How to reach the cluster's API; None for the embedded one."""
    if config.kubeconfig and config.in_cluster:
        raise UsageError("--kubeconfig and --in-cluster exclude each other")
    if config.in_cluster:
        return from_pod()
    return from_kubeconfig(Path(config.kubeconfig), config.context) if config.kubeconfig else None


def _how_to_reach(config: CloudConfig) -> str:
    kubectl = f"kubectl --kubeconfig {config.kubeconfig or config.data_dir / 'kubeconfig'}"
    look = "kubectl as the service account of this pod" if config.in_cluster else kubectl
    return f"nodes on {config.host}:{config.hub_port}, {look}"


def _how_to_advertise(names: Sequence[str]) -> str:
    known = ", ".join(dict.fromkeys([*names, *ALWAYS]))
    return f"its certificate is for {known}: nodes dial one of these, or start it with --advertise ADDRESS for another"


def _without_streams(config: CloudConfig) -> str:
    return "" if config.tunnel_port == 0 else ", no kubectl logs and exec (--tunnel-port)"


def _api(
    config: CloudConfig,
    authority: FileAuthority,
    own_names: Sequence[str],
    stack: ExitStack,
    ending: Ending,
    tunnels: Tunnels,
) -> tuple[Access, KubernetesCluster, SharedAuthority]:
    """The API, and what all replicas share through it.

    The embedded one is begun anew when it turns out to hold another CA than the data directory (whose certificates
    were lost): then its own certificate has to be another, too.
    """
    given = _access(config)
    while True:
        with ExitStack() as attempt:
            access = given or _embedded_api(config, authority, authority.server(own_names), attempt, tunnels)
            cluster = attempt.enter_context(closing(KubernetesCluster(access)))
            prepare(cluster, lambda: ending.asked)
            shared = SharedAuthority(authority, cluster, names.SYSTEM_NAMESPACE)
            if not shared.take_ca() or given:
                stack.enter_context(attempt.pop_all())
                return access, cluster, shared


def _hub(config: CloudConfig, server: WebSocketServer, tls: LinkTls, runtime: Runtime, traffic: Traffic) -> ChildSpec:
    return CloudHub.spec(
        lambda: CloudHub(
            server,
            Listen(config.host, config.hub_port, tls),
            cluster_ca=Path(tls.ca).read_text(encoding="ascii"),
            node_limit=config.node_limit,
            keepalive=config.keepalive,
            accepting=runtime.registry.accepting,
            traffic=traffic,
        )
    )


def _bootstrap(
    config: CloudConfig, authority: FileAuthority, cluster: Cluster, loop: LoopThread, tls: LinkTls, stack: ExitStack
) -> BootstrapServer:
    server = BootstrapServer(BootstrapRules(authority, lambda name: _exists(cluster, name)), loop)
    with chosen_by(_port("--https-port", config.https_port, config)):
        server.start(config.host, config.https_port, tls)
    stack.callback(server.stop)
    return server


def _renew(shared: SharedAuthority, names: Sequence[str], servers: Sequence[WebSocketServer | BootstrapServer]) -> None:
    tls = shared.server(names)
    for server in servers:
        server.renew(tls)


def _embedded_api(
    config: CloudConfig, authority: FileAuthority, tls: LinkTls, stack: ExitStack, tunnels: Tunnels
) -> Access:
    """Serve the embedded API; an administrator's access to it, by the kubeconfig that is written for people too."""
    api = ApiServer(
        database=config.data_dir / "cloud.db",
        host=config.host,
        port=config.api_port,
        tls=TlsFiles(Path(tls.cert), Path(tls.key), authority.ca_path),
        log_source=log_source(tunnels),
        exec_source=exec_source(tunnels),
    )
    with chosen_by(_port("--api-port", config.api_port, config)):
        api.start()
    stack.callback(api.stop)
    admin = authority.client()
    path = config.data_dir / "kubeconfig"
    host = "127.0.0.1" if config.host in ANY_ADDRESS else config.host
    files = (authority.ca_path, Path(admin.cert), Path(admin.key))
    text = kubeconfig(f"https://{host}:{api.port}", *(file.read_bytes() for file in files))
    write_file(path, text.encode())
    return from_kubeconfig(path)


def _names(host: str) -> list[str]:
    """What nodes and kubectl may call this machine: the address it binds, or every name it knows of itself."""
    if host not in ANY_ADDRESS:
        return [host]
    own = socket.gethostname()
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(own, None)}
    except OSError:
        found = set()  # a host name that resolves to nothing
    found |= {own, *_routed()}
    return sorted(found, key=lambda name: (name.startswith("127."), name))


def _routed() -> list[str]:
    """The address by which this machine goes out, if it does; its name often stands for loopback only. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return []
        return [str(probe.getsockname()[0])]


def _exists(cluster: Cluster, name: str) -> bool:
    try:
        cluster.get(NODE_KIND, "", name)
    except NotFound:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
