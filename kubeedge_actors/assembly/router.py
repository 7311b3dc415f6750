"""Rules in the cloud: the actors, and the doors through which requests come to them: one by TLS, one open on loopback."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import ExitStack

from kubeedge_actors.actors.cloudstream import kubelet_proxy
from kubeedge_actors.actors.router.messages import RestCall
from kubeedge_actors.actors.router.other_replicas import OtherReplicas
from kubeedge_actors.actors.router.rest_gate import ClusterAccess, EmbeddedAccess, RestGate, RuleAccess
from kubeedge_actors.actors.router.router import child_specs
from kubeedge_actors.actors.router.rule_table import RuleTable
from kubeedge_actors.actors.router.state import RouterConfig, RouterState
from kubeedge_actors.assembly.kubelet import ClusterSide, client_ca, replica_certificate
from kubeedge_actors.assembly.port_errors import ChosenPort, naming_port_options
from kubeedge_actors.config import CloudConfig
from kubeedge_actors.drivers.http.base import RestRequest, RestResponse
from kubeedge_actors.drivers.http.stdlib_replica_client import StdlibReplicaClient
from kubeedge_actors.drivers.http.stdlib_rest_server import REST_BODY_LIMIT, StdlibRestServer
from kubeedge_actors.drivers.http.stdlib_target_client import StdlibTargetClient
from kubeedge_actors.drivers.kubelet.base import Name
from kubeedge_actors.drivers.kubelet.tls import (
    check_replica,
    client_identity,
    kubelet_context,
    replica_context,
    subject_of_ca,
)
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.hubs.access_reviews import AccessReviewer, Caller
from kubeedge_actors.supervisors import ActorSystem, ChildSpec
from kubeedge_actors.wire import constants

LOOPBACK = "127.0.0.1"
AUTHENTICATED = "system:authenticated"


class RouterSide:
    """The router of one cloud; its servers end with the stack."""

    def __init__(self, config: CloudConfig, side: ClusterSide, stack: ExitStack, replica: str = "") -> None:
        """`replica`: HOST:PORT by which others find the one that a node is connected to; empty: there is only this one."""
        self._config, self._side, self._stack = config, side, stack
        self._tls, self._replica = side.tls, replica
        self._state = RouterState(side.cluster)
        self._secure: StdlibRestServer | None = None

    def specs(self) -> list[ChildSpec]:
        """The actors."""
        config = self._config
        serves_rest = bool(config.router_port or config.router_open)
        limits = RouterConfig(config.router_timeout, config.router_retry, serves_rest)
        return child_specs(self._side.cluster, StdlibTargetClient(), limits, self._state)

    def serve(self, system: ActorSystem) -> None:
        """Open the doors that are wanted. HttpError: a port can not be had; CertificateError."""
        config = self._config
        if config.router_port:
            server = self._secure = StdlibRestServer(config.host, config.router_port, self._context(self._side.tls))
            with naming_port_options(ChosenPort("--router-port", config.router_port, "--host", config.host)):
                self._start(server, RestGate(self._access(), self._table, self._asking(system), self._elsewhere()))
        if config.router_open:
            chosen = ChosenPort("--router-open", config.router_open, "", LOOPBACK)
            with naming_port_options(chosen):
                gate = RestGate(None, self._table, self._asking(system), self._elsewhere())
                self._start(StdlibRestServer(LOOPBACK, config.router_open), gate)

    def reload_certificate(self, tls: TlsPaths) -> None:
        """Show another certificate from now on."""
        self._tls = tls
        if self._secure is not None:
            self._secure.reload(self._context(tls))

    def hint(self) -> str:
        """What a person has to know: that one of the doors asks nobody who he is."""
        port = self._config.router_open
        return (
            f"every program of this machine may use every Rule at http://{LOOPBACK}:{port} (--router-open)"
            if port
            else ""
        )

    # --- inside

    def _start(self, server: StdlibRestServer, gate: RestGate) -> None:
        server.start(gate.answer)
        self._stack.callback(server.close)

    def _table(self) -> RuleTable:
        return self._state.table

    def _asking(self, system: ActorSystem) -> Callable[[RestCall], RestResponse]:
        timeout = self._config.router_timeout + 1.0

        def ask(call: RestCall) -> RestResponse:
            answer = system.ref(constants.ROUTER).ask(call, timeout).get()
            assert isinstance(answer, RestResponse)
            return answer

        return ask

    def _elsewhere(self) -> Callable[[str, RestRequest], RestResponse | None]:
        """Answers for nodes that this replica does not have."""
        if not self._replica:
            return lambda *_: None
        own = replica_certificate(self._side)
        client = StdlibReplicaClient(
            lambda: replica_context(own, self._tls),
            lambda certificate: check_replica(certificate, self._tls),
            self._config.router_timeout + 2.0,
            REST_BODY_LIMIT,
        )
        others = OtherReplicas(self._side.cluster, self._replica, self._config.router_port, client.call)
        connected = self._state.work.subscriptions.connected
        return lambda node, request: None if node in connected else others.answer(node, request)

    @property
    def _is_real_cluster(self) -> bool:
        return bool(self._config.kubeconfig or self._config.in_cluster)

    def _context(self, tls: TlsPaths) -> ssl.SSLContext:
        own = self._side.authority.ca_path.read_bytes()
        clients = client_ca(self._config, self._side.access, self._side.cluster) if self._is_real_cluster else own
        return kubelet_context(tls, clients or own)

    def _access(self) -> RuleAccess:
        if not self._is_real_cluster:
            return EmbeddedAccess(lambda request: caller_of(request))
        ours = subject_of_ca(str(self._side.authority.ca_path))
        # a certificate of our own CA names a node, or one of us: nobody whom the cluster knows
        return ClusterAccess(
            AccessReviewer(self._side.cluster),
            lambda request: caller_of(request, ours),
            lambda request: is_replica(request, ours),
        )


def caller_of(request: RestRequest, unless_of: object = None) -> Caller | None:
    """Whose the certificate of a request is; None for none, or one that this CA has signed."""
    identity = client_identity(request.certificate)
    if identity is None or not identity.common_name or identity.issuer == unless_of:
        return None
    return Caller(identity.common_name, (*identity.organizations, AUTHENTICATED))


def is_replica(request: RestRequest, ca: Name) -> bool:
    """Whether its certificate is that of a replica, signed by this CA, which is ours."""
    return kubelet_proxy.is_replica(client_identity(request.certificate), ca)
