"""The rules of the bootstrap server, without a socket: a request in, a response out.

Texts and codes are those of the original (source: KubeEdge cloud/pkg/cloudhub/servers/httpserver and
certificate/certs.go); stricter: a node gets a certificate for its own name only, only for the group of nodes, and only
as a client.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.drivers.bootstrap.join_gate import JoinGate
from kubeedge_actors.drivers.bootstrap.protocol import (
    BINARY,
    CA_PATH,
    CERTIFICATE_PATH,
    MAX_BODY,
    MAX_REPORT,
    NODE_HEADER,
    NODE_PATH,
    TASK_PATH,
    TEXT,
    TOKEN_HEADER,
    UPGRADE_PATH,
    USAGES_HEADER,
)
from kubeedge_actors.drivers.pki.base import CertificateAuthority
from kubeedge_actors.drivers.pki.bootstrap_tokens import TokenClaims
from kubeedge_actors.errors import CertificateError, DriverError, KubeEdgeActorsError
from kubeedge_actors.kubernetes.certificates.info import CLIENT_AUTH, HUB_NAME, LEGACY_USER, node_of

log = logging.getLogger(__name__)
NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

ANY_NODE = TokenClaims(0.0)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, header names in lower case; no common name: the client showed no certificate."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    common_name: str = ""
    organizations: tuple[str, ...] = ()
    serial: int = 0
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP reply."""

    status: int
    body: bytes
    content_type: str = TEXT


def text_response(status: int, sentence: str) -> Response:
    """A plain text response."""
    return Response(status, sentence.encode())


class RequestRefused(KubeEdgeActorsError):
    """The request is rejected with this response."""

    def __init__(self, reply: Response) -> None:
        super().__init__(reply.body.decode())
        self.reply = reply


class BootstrapHandler:
    """Answers bootstrap requests with certificates of an authority.

    `node_exists` says whether the cluster has a Node of that name, `gate` who may have the certificate of a name (None: whoever
    has a token); all may block.
    """

    def __init__(
        self, authority: CertificateAuthority, node_exists: Callable[[str], bool], gate: JoinGate | None = None
    ) -> None:
        self._authority = authority
        self._node_exists = node_exists
        self._gate = gate

    def answer(self, request: Request) -> Response:
        """The reply to one request; never an exception."""
        path = request.path.partition("?")[0]
        try:
            return self._route(request, path)
        except RequestRefused as refusal:
            log.debug("%s refused: %s", path, refusal)
            return refusal.reply
        except Exception as error:  # noqa: BLE001 - whatever the cluster raised, the asker and the log hear of it
            log.warning("the request for %s could not be answered: %s", path, error)
            return text_response(500, f"failed to answer, err: {error}")

    def refusal(self, head: Request) -> Response | None:
        """Why a request is refused whatever its body says, told by its head; None when the body is to be read. Never an exception.

        Who has neither a certificate nor a token gets no body read: only a request for a certificate has one, and a report.
        """
        path = head.path.partition("?")[0]
        if path == CERTIFICATE_PATH and head.method != "GET":
            return _wrong_method()
        try:
            if path == CERTIFICATE_PATH:
                self._check_sender(head)
        except RequestRefused as refused:
            return refused.reply
        except Exception as error:  # noqa: BLE001 - as in `answer`
            log.warning("the request for %s could not be answered: %s", path, error)
            return text_response(500, f"failed to answer, err: {error}")
        return None

    def max_body(self, path: str) -> int:
        """Bytes of the longest body that is read for this path; most have none."""
        path = path.partition("?")[0]
        return MAX_REPORT + 1 if _is_report(path) else MAX_BODY if path == CERTIFICATE_PATH else 0

    def _route(self, request: Request, path: str) -> Response:
        if _is_report(path):
            return _report(request, path)
        is_node = path.startswith(NODE_PATH) and path.count("/") == 2 and len(path) > len(NODE_PATH)
        if path not in (CA_PATH, CERTIFICATE_PATH) and not is_node:
            return text_response(404, "404: Page Not Found")
        if request.method != "GET":
            return _wrong_method()
        if path == CA_PATH:
            return Response(200, self._authority.ca_der, BINARY)
        if path == CERTIFICATE_PATH:
            return self._certificate(request)
        return self._node(path[len(NODE_PATH) :])

    def _node(self, name: str) -> Response:
        if not NODE_NAME.fullmatch(name):
            return text_response(400, "Node name is not valid")
        try:
            exists = self._node_exists(name)
        except KubeEdgeActorsError as error:
            log.warning("whether there is a node %s can not be asked: %s", name, error)
            return text_response(500, "Failed to query node information")
        return text_response(200, "Node found") if exists else text_response(404, "Node not found")

    def _certificate(self, request: Request) -> Response:
        node = request.headers.get(NODE_HEADER, "")
        claims = self._check_sender(request)
        if not NODE_NAME.fullmatch(node):
            raise RequestRefused(
                text_response(401, f"failed to verify the request for edgenode: {node}, err: no valid NodeName header")
            )
        try:
            _check_usages(request)
            return Response(200, self._sign(request.body, node, claims), BINARY)
        except CertificateError as error:
            return text_response(401, f"failed to verify the request for edgenode: {node}, err: {error}")
        except DriverError as error:
            return text_response(500, f"failed to sign certs for edgenode {node}, err: fail to signCerts, err: {error}")

    def _check_sender(self, request: Request) -> TokenClaims | None:
        """What gives a right to a certificate; None for the node's own certificate."""
        node = request.headers.get(NODE_HEADER, "")
        if not request.common_name:
            return self._check_token(request.headers.get(TOKEN_HEADER, ""))
        if _check_certificate(request, node):
            return ANY_NODE
        if self._gate is not None and (why := self._gate.refusal(node, request.serial, request.not_before)):
            raise RequestRefused(
                text_response(401, f"failed to verify the certificate for edgenode: {node}, err: {why}")
            )
        return None

    def _sign(self, csr: bytes, node: str, claims: TokenClaims | None) -> bytes:
        """The certificate; `claims` of what gives a right to it, None for the node's own certificate. A use is counted once it is made."""
        if self._gate is None:
            return self._authority.sign(csr, node)
        if claims is not None:
            self._gate.check(node, claims)
        certificate = self._authority.sign(csr, node)
        if claims is not None:
            self._gate.spend(claims)
        self._gate.allow(node, certificate)
        return certificate

    def _check_token(self, header: str) -> TokenClaims:
        if not header:
            raise RequestRefused(text_response(401, "token validation failure, token is empty"))
        words = header.split(" ")
        if len(words) != 2:
            raise RequestRefused(text_response(401, "token validation failure, token cannot be split"))
        try:
            return self._authority.check_token(words[1])
        except CertificateError as error:
            raise RequestRefused(text_response(401, f"token validation failure, err: {error}")) from error


def _wrong_method() -> Response:
    return text_response(405, "405: Method Not Allowed")


def _is_report(path: str) -> bool:
    return path == UPGRADE_PATH or TASK_PATH.fullmatch(path) is not None


def _report(request: Request, path: str) -> Response:
    """A node tells how a task of node management went. None is ever given here, so that is noted and no more.

    The words are the original's (source: KubeEdge cloud/pkg/cloudhub/servers/httpserver/nodetask), the one about 1 MB
    although it means 3 as well.
    """
    if request.method != "POST":
        return _wrong_method()
    if len(request.body) > MAX_REPORT:
        return text_response(400, "Request entity too large: the request body can only be up to 1MB in size")
    try:
        msgspec.json.decode(depth_limit.check_depth(request.body), type=dict[str, Any] | None)
    except (msgspec.DecodeError, UnicodeError) as error:
        doing = "marshal" if path == UPGRADE_PATH else "unmarshal"
        return text_response(400, f"failed to {doing} task info: {error}")
    log.info("a node reports of a task that was not given here: %s", path)
    return text_response(200, "ok")


def _check_certificate(request: Request, node: str) -> bool:
    """A client certificate was shown, and TLS has verified it: it must be this node's, or the original's own (True), which is for any node."""
    legacy = request.common_name == LEGACY_USER and HUB_NAME in request.organizations
    if not legacy and node_of(request.common_name, request.organizations) != node:
        sentence = "request node name is not match with the certificate"
        raise RequestRefused(
            text_response(401, f"failed to verify the certificate for edgenode: {node}, err: {sentence}")
        )
    return legacy


def _check_usages(request: Request) -> None:
    """`CertificateError` when a node wants to be more than a client."""
    header = request.headers.get(USAGES_HEADER, "")
    if not header:
        return
    try:
        usages = msgspec.json.decode(depth_limit.check_depth(header), type=tuple[int, ...])
    except msgspec.DecodeError as error:
        raise RequestRefused(text_response(500, f"failed to unmarshal http header, err: {error}")) from error
    if set(usages) != {CLIENT_AUTH}:
        raise CertificateError(f"a node's certificate is for the key usage 2 (clientAuth) only, not for {header[:80]}")
