"""The server of the certificate bootstrap, with what it asks of the cluster."""

from __future__ import annotations

from contextlib import ExitStack

from kubeedge_actors.assembly.port_errors import ChosenPort, naming_port_options
from kubeedge_actors.config import CloudConfig
from kubeedge_actors.drivers.bootstrap.handlers import BootstrapHandler
from kubeedge_actors.drivers.bootstrap.join_gate import JoinGate
from kubeedge_actors.drivers.bootstrap.revocations import Revocations
from kubeedge_actors.drivers.bootstrap.server import BootstrapServer
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.errors import NotFound
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import NODE_KIND


def serve_bootstrap(
    config: CloudConfig,
    authority: FileAuthority,
    cluster: Cluster,
    revocations: Revocations,
    loop: LoopThread,
    tls: TlsPaths,
    stack: ExitStack,
) -> BootstrapServer:
    """Serve from now on, until the stack ends. LinkError: the port can not be had."""
    gate = JoinGate(cluster, well_known.SYSTEM_NAMESPACE, revocations=revocations)
    server = BootstrapServer(BootstrapHandler(authority, lambda name: _exists(cluster, name), gate), loop)
    with naming_port_options(ChosenPort("--https-port", config.https_port, "--host", config.host)):
        server.start(config.host, config.https_port, tls)
    stack.callback(server.stop)
    return server


def _exists(cluster: Cluster, name: str) -> bool:
    try:
        cluster.get(NODE_KIND, "", name)
    except NotFound:
        return False
    return True
