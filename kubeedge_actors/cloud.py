"""python -m kubeedge_actors.cloud: choose the drivers of the cloud side, build its supervision tree, serve until told to stop."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from kubeedge_actors.actors.cloudhub.actor import CloudHub, Listen
from kubeedge_actors.actors.devicecontroller import actor as devicecontroller
from kubeedge_actors.actors.edgecontroller import actor as edgecontroller
from kubeedge_actors.actors.nodelifecycle.actor import NodeLifecycle
from kubeedge_actors.actors.scheduler.actor import Scheduler
from kubeedge_actors.actors.synccontroller import actor as synccontroller
from kubeedge_actors.apiserver import ApiServer, TlsFiles, kubeconfig
from kubeedge_actors.config import API_PORT, HTTPS_PORT, HUB_PORT, CloudConfig, cloud_settings, merged
from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.drivers.cluster.access import from_kubeconfig
from kubeedge_actors.drivers.cluster.base import NODE_KIND, Cluster
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.drivers.link.base import LinkTls
from kubeedge_actors.drivers.link.bootstrap_rules import BootstrapRules
from kubeedge_actors.drivers.link.bootstrap_server import BootstrapServer
from kubeedge_actors.drivers.link.loop import LoopThread
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.authority import FileAuthority
from kubeedge_actors.drivers.pki.files import write_file
from kubeedge_actors.errors import NotFound
from kubeedge_actors.letters import FILE as LETTERS
from kubeedge_actors.letters import LetterOffice
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
ANY_ADDRESS = ("0.0.0.0", "::", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    options = _parser().parse_args(arguments)
    log_to_stderr(options.log_level)

    def body(ending: Ending) -> None:
        settings = cloud_settings(options.config) if options.config else {}
        serve(merged(CloudConfig, settings, vars(options)), ending, allow_faults=options.allow_faults)

    return run("cloud", body)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kubeedge_actors.cloud",
        description="The cloud side of kubeedge_actors: a Kubernetes API (embedded, or a cluster's by --kubeconfig), CloudHub and controllers.",
        epilog="Join a node with: python -m kubeedge_actors.edge --name NAME --cloud https://HOST:10002 --token-file DATA_DIR/token",
    )
    add = parser.add_argument
    add("--data-dir", type=absolute, metavar="DIR", help=f"holds all state (default: {default_data_dir('cloud')})")
    add("--host", help="address to bind, and that nodes and kubectl dial (default: 127.0.0.1)")
    add("--api-port", type=int, metavar="PORT", help=f"embedded Kubernetes API (default: {API_PORT})")
    add("--hub-port", type=int, metavar="PORT", help=f"message channel of the nodes, WebSocket (default: {HUB_PORT})")
    add("--https-port", type=int, metavar="PORT", help=f"certificate bootstrap (default: {HTTPS_PORT})")
    add("--kubeconfig", metavar="FILE", help="serve the edge nodes of this cluster instead of the embedded API")
    add("--config", metavar="FILE", help="KubeEdge's cloudcore.yaml; options win over it")
    add("--allow-faults", action="store_true", help="let the control socket crash actors, to see what happens")
    add("--log-level", choices=LEVELS, default="warning", help="what goes to standard error (default: warning)")
    return parser


def serve(config: CloudConfig, ending: Ending, *, allow_faults: bool = False) -> None:
    """Start everything, say `ready`, stop everything when `ending` is asked for."""
    with ExitStack() as stack:
        data = stack.enter_context(closing(DataDir(config.data_dir)))
        authority = stack.enter_context(closing(FileAuthority(data.path / "certs")))
        own_names = _names(config.host)
        tls = authority.server(own_names)
        loop = LoopThread()
        stack.callback(loop.stop)
        server = WebSocketServer(loop)
        stack.callback(server.stop)
        server.bind(config.host, config.hub_port)
        path = Path(config.kubeconfig) if config.kubeconfig else _embedded_api(config, authority, tls, stack)
        cluster = stack.enter_context(closing(KubernetesCluster(from_kubeconfig(path))))
        bootstrap = BootstrapServer(BootstrapRules(authority, lambda name: _exists(cluster, name)), loop)
        bootstrap.start(config.host, config.https_port, tls)
        stack.callback(bootstrap.stop)
        token = data.path / "token"
        authority.write_token(token)
        office = stack.enter_context(closing(LetterOffice(data.path / LETTERS)))
        runtime = Runtime(ThreadsEngine(), dead_letters=office, optional=EXTENSION_POINTS)
        hub = CloudHub.spec(
            lambda: CloudHub(
                server,
                Listen(config.host, config.hub_port, tls),
                cluster_ca=authority.ca_path.read_text(encoding="ascii"),
                node_limit=config.node_limit,
                accepting=runtime.registry.accepting,
                refresh_token=lambda: authority.write_token(token),
            )
        )
        runtime.start(tree(hub, cluster, own_names[0], embedded=not config.kubeconfig))
        stack.callback(runtime.stop, STOPPING)
        end_with_the_tree(runtime, ending)
        control = ControlSocket(data.path / SOCKET, runtime, allow_faults=allow_faults, office=office)
        control.start()
        stack.callback(control.close)
        ready(f"cloud: nodes on {config.host}:{config.hub_port}, kubectl --kubeconfig {path}")
        ending.wait()


def tree(hub: ChildSpec, cluster: Cluster, address: str, *, embedded: bool) -> SupervisorSpec:
    """The modules in start order: the hub, who talks to nodes through it, and what a cluster of its own would do."""
    controllers = [
        *synccontroller.specs(cluster),
        *edgecontroller.specs(cluster, address),
        *devicecontroller.specs(cluster),
    ]
    own = [Scheduler.spec(lambda: Scheduler(cluster)), NodeLifecycle.spec(lambda: NodeLifecycle(cluster))]
    return SupervisorSpec("cloud", [hub, *controllers, *(own if embedded else ())], FATE)


def _embedded_api(config: CloudConfig, authority: FileAuthority, tls: LinkTls, stack: ExitStack) -> Path:
    """Serve the embedded API; the path of an administrator's kubeconfig for it."""
    api = ApiServer(
        database=config.data_dir / "cloud.db",
        host=config.host,
        port=config.api_port,
        tls=TlsFiles(Path(tls.cert), Path(tls.key), authority.ca_path),
    )
    api.start()
    stack.callback(api.stop)
    admin = authority.client()
    path = config.data_dir / "kubeconfig"
    host = "127.0.0.1" if config.host in ANY_ADDRESS else config.host
    files = (authority.ca_path, Path(admin.cert), Path(admin.key))
    text = kubeconfig(f"https://{host}:{api.port}", *(file.read_bytes() for file in files))
    write_file(path, text.encode())
    return path


def _names(host: str) -> list[str]:
    """What nodes and kubectl may call this machine: the address it binds, or every name it knows of itself."""
    if host not in ANY_ADDRESS:
        return [host]
    own = socket.gethostname()
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(own, None)}
    except OSError:
        found = set()  # a host name that resolves to nothing
    return sorted({own, *found})


def _exists(cluster: Cluster, name: str) -> bool:
    try:
        cluster.get(NODE_KIND, "", name)
    except NotFound:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
