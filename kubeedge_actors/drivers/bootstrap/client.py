"""The joining process: joins a cloud once and ends: `python -m kubeedge_actors.drivers.bootstrap.client`.

It takes a `JoinRequest` as JSON on standard input and gives a `JoinResult` on standard output. HTTP and cryptography cost 20
MB, which an edge does not want to keep (drivers/bootstrap/certificate_manager.py is the side that stays). Steps: source KubeEdge
edge/pkg/edgehub/certificate/certmanager.go.
"""

from __future__ import annotations

import hmac
import http.client
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from kubeedge_actors.drivers.bootstrap.protocol import (
    CA_PATH,
    CERTIFICATE_PATH,
    MAX_BODY,
    NODE_HEADER,
    TOKEN_HEADER,
    JoinRequest,
    JoinResult,
)
from kubeedge_actors.drivers.link import hostname_mismatch
from kubeedge_actors.drivers.pki.base import KeyPair
from kubeedge_actors.drivers.pki.bootstrap_tokens import ca_hash, split_token
from kubeedge_actors.drivers.pki.pem import check_pair, read_pem, save_pair, write_pem
from kubeedge_actors.drivers.pki.worker_protocol import CreateCsr, PkiRequest, WorkerResult, execute
from kubeedge_actors.errors import CertificateError, LinkError
from kubeedge_actors.kubernetes.certificates.der import CERTIFICATE, parse_certificate
from kubeedge_actors.kubernetes.certificates.info import node_subject, why_not_the_clouds

TIMEOUT = 10.0


def join(order: JoinRequest, make: Callable[[PkiRequest], WorkerResult] = execute) -> None:
    """Join, and write the three PEM files. Errors: CertificateError, a person must act; another LinkError, try again later."""
    ca = _named_by_token(order) if order.token else b""
    context = _trusting(ca) if ca else _with_certificate(order)
    result = make(CreateCsr(node_subject(order.node)))
    headers = {NODE_HEADER: order.node}
    if order.token:
        headers[TOKEN_HEADER] = f"Bearer {split_token(order.token)[1]}"
    certificate = _get(order, CERTIFICATE_PATH, context, result.cert, headers)
    if parse_certificate(certificate).common_name != node_subject(order.node).common_name:
        raise CertificateError(f"the cloud at {order.cloud} gave a certificate for somebody else")
    if ca:  # not before: what was good until now is to stay good when a cloud refuses
        write_pem(Path(order.ca), ca, CERTIFICATE)
    save_pair(Path(order.cert), Path(order.key), KeyPair(certificate, result.key))
    check_pair(Path(order.cert), Path(order.key))


def _named_by_token(order: JoinRequest) -> bytes:
    """The cloud's CA (DER), which nobody vouches for but its hash in the token."""
    expected, _ = split_token(order.token)
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    ca = _get(order, CA_PATH, unverified)
    if not hmac.compare_digest(ca_hash(ca), expected):
        raise CertificateError(
            f"the CA of the cloud at {order.cloud} is not the one that the token names: "
            "it is another cloud, or it was set up anew since"
        )
    return ca


def _with_certificate(order: JoinRequest) -> ssl.SSLContext:
    context = _trusting(read_pem(Path(order.ca), CERTIFICATE))
    try:
        context.load_cert_chain(order.cert, order.key)
    except OSError as error:
        raise CertificateError(
            f"the certificate {order.cert} with the key {order.key} does not serve: {error}"
        ) from error
    return context


def _trusting(ca: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=ca)
    except ssl.SSLError as error:
        raise CertificateError(f"the CA's certificate does not serve: {error}") from error
    return context


def _get(
    order: JoinRequest,
    path: str,
    context: ssl.SSLContext,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """The body of a good answer. The request is a GET, with a body where the protocol wants one."""
    address = urlsplit(order.cloud)
    if address.scheme != "https" or not address.hostname:
        raise CertificateError(f"the cloud's address has to be https://HOST:PORT, not {order.cloud}")
    connection = http.client.HTTPSConnection(address.hostname, address.port or 443, timeout=TIMEOUT, context=context)
    try:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        connection.connect()
        _check_server(order, connection)  # before the token is said
        connection.request("GET", path, body, dict(headers or {}))
        answer = connection.getresponse()
        content = answer.read(MAX_BODY)
    except ssl.SSLCertVerificationError as error:
        raise CertificateError(_distrust(order, context, error)) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise LinkError(f"the cloud at {order.cloud} can not be reached: {reason}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise _refusal(order, path, answer.status, content.decode("utf-8", "replace").strip()[:300])
    return content


def _check_server(order: JoinRequest, connection: http.client.HTTPSConnection) -> None:
    """`CertificateError` when a certificate that was verified is not a cloud's; one that was not verified proves nothing."""
    if connection.sock.context.verify_mode is ssl.CERT_NONE:
        return
    if why := why_not_the_clouds(parse_certificate(connection.sock.getpeercert(binary_form=True) or b"")):
        raise CertificateError(f"the certificate of the cloud at {order.cloud} is not accepted: {why}")


def _distrust(order: JoinRequest, context: ssl.SSLContext, error: ssl.SSLCertVerificationError) -> str:
    cloud, address = f"the cloud at {order.cloud}", urlsplit(order.cloud)
    if not hostname_mismatch.is_hostname_mismatch(error):
        return f"the certificate of {cloud} is not accepted: {error.verify_message}"
    host, port = address.hostname or "", address.port or 443
    names = hostname_mismatch.certificate_names(lambda: socket.create_connection((host, port), TIMEOUT), context)
    return hostname_mismatch.hostname_error_text(cloud, host, names)


def _refusal(order: JoinRequest, path: str, status: int, text: str) -> LinkError:
    if status == http.client.UNAUTHORIZED and "expired" in text:
        return CertificateError(f"the token has expired; ask the cloud at {order.cloud} for a new one")
    if status == http.client.UNAUTHORIZED:
        return CertificateError(f"the cloud at {order.cloud} does not let {order.node} join: {text}")
    if status == http.client.NOT_FOUND:
        return CertificateError(f"{order.cloud} is not the certificate address of a cloud: it does not know {path}")
    return LinkError(f"the cloud at {order.cloud} could not give a certificate (HTTP status {status}): {text}")


def main() -> int:
    """One order from standard input, its outcome on standard output; always 0."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=JoinRequest)
    try:
        join(order)
        joined = JoinResult()
    except CertificateError as error:
        joined = JoinResult(str(error), final=True)
    except LinkError as error:
        joined = JoinResult(str(error))
    sys.stdout.buffer.write(msgspec.json.encode(joined))
    return 0


if __name__ == "__main__":
    sys.exit(main())
