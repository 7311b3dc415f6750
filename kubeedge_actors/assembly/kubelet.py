"""How a cluster's API server comes to the kubelets of edge nodes: the stream server, what the Nodes say, the rules of iptables."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from kubeedge_actors.actors.cloudstream.cloud_stream import KubeletEndpoint
from kubeedge_actors.actors.cloudstream.iptables_manager import IptablesManager, printed_rule
from kubeedge_actors.actors.cloudstream.kubelet_authorization import KubeletAuthorizer
from kubeedge_actors.actors.cloudstream.kubelet_proxy import REPLICA_GROUP, REPLICA_USER, KubeletProxy, ReplicaConfig
from kubeedge_actors.actors.cloudstream.tunnel_port import FIRST_PORT, TunnelPort
from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.assembly.own_names import names_of_machine
from kubeedge_actors.assembly.port_errors import ChosenPort, bind_or_do_without
from kubeedge_actors.config import STREAM_PORT, CloudConfig
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.drivers.kubelet.iptables import run_iptables
from kubeedge_actors.drivers.kubelet.server import KubeletServer
from kubeedge_actors.drivers.kubelet.tls import subject_of_ca
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.errors import ClusterError, UsageError
from kubeedge_actors.kubernetes import kubelet_address
from kubeedge_actors.kubernetes.certificates.info import Subject
from kubeedge_actors.kubernetes.kubelet_address import KubeletAddress
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND
from kubeedge_actors.osutil.sockets import bracketed, is_address
from kubeedge_actors.supervisors import ChildSpec

log = logging.getLogger(__name__)

WITHOUT = "no kubectl logs and exec through the API server"
REPLICA = "replica-client"
"""Name of the files with the certificate by which one replica asks another."""
CLIENT_CA = ("kube-system", "extension-apiserver-authentication", "client-ca-file")
"""Where a cluster says which CA its clients' certificates are of: namespace, ConfigMap, key."""
EMBEDDED = KubeletEndpoint(lambda: FIRST_PORT)
"""With the embedded API nobody asks at the port; it stands there as it would in a cluster."""


class ClusterSide(NamedTuple):
    """What the cloud has of the cluster, and of its nodes."""

    authority: FileAuthority
    access: ClientConfig
    cluster: Cluster
    tunnels: TunnelRegistry
    tls: TlsPaths


class KubeletSide:
    """The stream server of a real cluster, and what follows from it; without one (the embedded API, a taken port) nothing does."""

    def __init__(self, config: CloudConfig, loop: LoopThread, stack: ExitStack) -> None:
        self._config, self._loop, self._stack = config, loop, stack
        names = names_of_machine(config.host)  # not what is advertised: that may lead to any replica
        self._host = next(filter(is_address, names), names[0])
        self.address: KubeletAddress | None = None
        if config.kubelet_address:
            self.address = kubelet_address.parse(config.kubelet_address)
        self._port = 0
        self._server: KubeletServer | None = None
        self.endpoint = EMBEDDED

    def serve(self, side: ClusterSide) -> None:
        """Serve, unless the API is the embedded one, no port is wanted, or the default one is taken. LinkError, UsageError."""
        config = self._config
        if not (config.kubeconfig or config.in_cluster) or config.stream_port == 0:
            return
        clients = client_ca(config, side.access, side.cluster)
        if not clients:
            self._do_without("the CA of the API server's client certificate is not known: give --stream-client-ca")
            return
        server = KubeletServer(self._loop, replica_certificate(side))
        if not self._bind(server):
            return
        address = f"{bracketed(self._host)}:{self._port}"
        replica = ReplicaConfig(address, subject_of_ca(str(side.authority.ca_path)))
        proxy = KubeletProxy(side.tunnels, side.cluster, KubeletAuthorizer(side.cluster), replica, self.address)
        server.start(self._shown(side.tls), clients, proxy.answer)
        self._server = server
        self.endpoint = KubeletEndpoint(self._kubelet_port(side.cluster), self.address, address)

    def reload_certificate(self, tls: TlsPaths) -> None:
        """Show another certificate from now on, unless there is one from elsewhere: then that, as its files are now."""
        if self._server is not None:
            self._server.reload_certificate(self._shown(tls))

    def status_of(self, status: dict[str, object], node: str) -> dict[str, object]:
        """What is taken of the status that a node reports."""
        return status if self._server is None else kubelet_address.reported_status(status, node, self.address)

    def specs(self, cluster: Cluster) -> list[ChildSpec]:
        """The manager of the rules, if it is wanted."""
        if self._server is None or not self._config.iptables:
            return []
        return [IptablesManager.spec(lambda: IptablesManager(cluster, self._port, run_iptables))]

    def hint(self) -> str:
        """What a person has to do on the API server's machine; empty: nothing."""
        if self._server is None or self.address is not None or self._config.iptables:
            return ""
        port = FIRST_PORT
        with suppress(ClusterError):
            port = self.endpoint.port()
        rule = printed_rule(self._host, port, self._port)
        return f"for kubectl logs and exec run on the API server's machine: {rule} (or start with --iptables there, or --kubelet-address)"

    # --- inside

    def _bind(self, server: KubeletServer) -> bool:
        wanted = STREAM_PORT if self._config.stream_port < 0 else self._config.stream_port
        chosen = ChosenPort("--stream-port", wanted, "--host", self._config.host)
        port = bind_or_do_without(server.bind, chosen, asked=self._config.stream_port > 0, without=WITHOUT)
        if port is None:
            return False
        self._port = port
        self._stack.callback(server.stop)
        return True

    def _do_without(self, reason: str) -> None:
        """A port that was asked for has to be served; the default one need not. UsageError."""
        if self._config.stream_port > 0:
            raise UsageError(f"--stream-port can not be served: {reason}")
        log.warning("%s: %s", WITHOUT, reason)

    def _shown(self, tls: TlsPaths) -> TlsPaths:
        config = self._config
        if bool(config.stream_cert) != bool(config.stream_key):
            raise UsageError("--stream-cert and --stream-key are given together or not at all")
        return TlsPaths(tls.ca, config.stream_cert, config.stream_key) if config.stream_cert else tls

    def _kubelet_port(self, cluster: Cluster) -> Callable[[], int]:
        if self.address is None:
            return TunnelPort(cluster, self._host)
        port = self.address.port or self._port
        return lambda: port


def serve_kubelets(config: CloudConfig, loop: LoopThread, stack: ExitStack, side: ClusterSide) -> KubeletSide:
    """The stream server of a real cluster, serving. LinkError, UsageError, CertificateError."""
    kubelet = KubeletSide(config, loop, stack)
    kubelet.serve(side)
    return kubelet


def replica_certificate(side: ClusterSide) -> TlsPaths:
    """With which this replica asks another."""
    return side.authority.client_certificate(REPLICA, Subject(REPLICA_USER, REPLICA_GROUP))


def client_ca(config: CloudConfig, access: ClientConfig, cluster: Cluster) -> bytes:
    """The CA of the API server's client certificate, in PEM: as given, as the cluster says, or the one that the API server itself has; empty: it
    is not known. UsageError: the file that was given can not be read.
    """
    if config.stream_client_ca:
        try:
            return Path(config.stream_client_ca).read_bytes()
        except OSError as error:
            raise UsageError(f"--stream-client-ca {config.stream_client_ca}: {error.strerror}") from error
    namespace, name, key = CLIENT_CA
    try:
        told = (cluster.get(CONFIGMAP_KIND, namespace, name).get("data") or {}).get(key, "")
    except ClusterError as error:
        log.info("the CA of the cluster's clients is not told by %s/%s: %s", namespace, name, error)
        told = ""
    return told.encode() or access.ca
