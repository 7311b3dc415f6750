"""A node's certificate proves one node, and nothing else: not a cloud, not another node, not with a weak key."""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeedge_actors.actors.edgecontroller.signing_requests import forbidden_wish
from kubeedge_actors.drivers.bootstrap.client import join
from kubeedge_actors.drivers.bootstrap.protocol import JoinRequest
from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.pki.base import KeyPair, TlsPaths
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.pki.pem import save_pair
from kubeedge_actors.drivers.pki.worker_protocol import CreateCsr, IssueCertificate, execute
from kubeedge_actors.errors import CertificateError
from kubeedge_actors.kubernetes.certificates.der import parse_certificate
from kubeedge_actors.kubernetes.certificates.info import CLIENT_AUTH, SERVER_AUTH, Subject, node_subject
from tests.support.fakes.bootstrap_cloud import Cloud
from tests.support.fakes.link_recorders import ClientRecorder
from tests.support.fakes.raw_websocket_server import RawPeer

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
NODE = "edge-9"
CLOUDS = Subject("KubeEdge", "KubeEdge")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    serving = Cloud(tmp_path)
    yield serving
    serving.stop()


def request(
    *extensions: x509.ExtensionType,
    key: Any = None,
    extra: tuple[tuple[x509.ObjectIdentifier, str], ...] = (),
    organization: str = "system:nodes",
    common_name: str = f"system:node:{NODE}",
) -> bytes:
    """A certificate request of the node, or one that it should not make (DER)."""
    parts = [(NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, common_name), *extra]
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    key = key or ec.generate_private_key(ec.SECP256R1())
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.DER)


def names(*dns: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in dns])


def forged(cloud: Cloud, subject: Subject, usages: tuple[int, ...], *sans: str) -> TlsPaths:
    """Files of a certificate of the cloud's CA, as an older or a genuine cloud would have signed it for whoever asked."""
    made = execute(IssueCertificate(cloud.authority.ca_pair, subject, usages, sans, 1.0, time.time()))
    stem = (
        cloud.folder / f"{subject.common_name.replace(':', '-')}-{subject.organization.replace(':', '-')}-{len(usages)}"
    )
    cert, key = stem.with_suffix(".crt"), stem.with_suffix(".key")
    save_pair(cert, key, KeyPair(made.cert, made.key))
    return TlsPaths(cloud.tls.ca, str(cert), str(key))


# --- what a node is given


def test_a_nodes_certificate_has_nothing_of_the_request_but_the_key(cloud: Cloud) -> None:
    mine = forged(cloud, node_subject(NODE), (SERVER_AUTH, CLIENT_AUTH), "localhost", "127.0.0.1")
    odd = request(extra=((NameOID.ORGANIZATIONAL_UNIT_NAME, "cloud"), (NameOID.COUNTRY_NAME, "CN")))
    reply = cloud.ask("/edge.crt", odd, certificate=mine, Nodename=NODE)  # renewal, by one that an older cloud gave
    certificate = x509.load_der_x509_certificate(reply.body)
    assert certificate.subject.rfc4514_string() == f"CN=system:node:{NODE},O=system:nodes"
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    info = parse_certificate(reply.body)
    assert (info.sans, info.usages, info.serial) == ((), (CLIENT_AUTH,), certificate.serial_number)


@pytest.mark.parametrize("san", ["LOCALHOST", "hub.", "*", "*.example.com", "localhost", "replica-2.kubeedge", "mine"])
@pytest.mark.parametrize("usages", ["", "[2]", "[1]", "[1,2]"])
def test_no_name_and_no_servers_usage_is_to_be_had_by_token_or_renewal(cloud: Cloud, san: str, usages: str) -> None:
    mine = cloud.authority.client_certificate(NODE, node_subject(NODE))
    wish: dict[str, Any] = {"Extkeyusages": usages} if usages else {}
    for reply in (
        cloud.ask("/edge.crt", request(names(san)), certificate=mine, Nodename=NODE, **wish),
        cloud.ask("/edge.crt", request(names(san)), Nodename=NODE, Authorization=f"Bearer {cloud.jwt}", **wish),
    ):
        assert reply.status == 401 and b"\n" not in reply.body


def test_a_servers_usage_alone_is_refused_in_a_sentence(cloud: Cloud) -> None:
    for wish in ("[1]", "[1,2]", "[]", "[3]", "[2,5]"):
        asked: dict[str, Any] = {"Nodename": NODE, "Authorization": f"Bearer {cloud.jwt}", "Extkeyusages": wish}
        reply = cloud.ask("/edge.crt", request(), **asked)
        words = f"a node's certificate is for the key usage 2 (clientAuth) only, not for {wish}"
        assert (reply.status, reply.body.decode().partition("err: ")[2]) == (401, words)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda: request(key=ec.generate_private_key(ec.SECP192R1())), "not good enough (secp192r1)"),
        (lambda: request(key=ec.generate_private_key(ec.SECP224R1())), "not good enough (secp224r1)"),
        (lambda: request(key=ec.generate_private_key(ec.SECP256K1())), "not good enough (secp256k1)"),
        (lambda: request(key=rsa.generate_private_key(65537, 1024)), "not good enough (RSA of 1024 bits)"),
        (lambda: request(key=dsa.generate_private_key(2048)), "not good enough (of another kind)"),
        (lambda: request(key=ed25519.Ed25519PrivateKey.generate()), "not good enough (of another kind)"),
        (lambda: request(x509.BasicConstraints(ca=True, path_length=None)), "asks for the extension 2.5.29.19"),
        (
            lambda: request(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
            "asks for another usage than clientAuth",
        ),
        (lambda: request(organization="KubeEdge"), "the organization of the CSR is not system:nodes"),
        (lambda: request(organization="system:masters"), "the organization of the CSR is not system:nodes"),
        (
            lambda: request(extra=((NameOID.ORGANIZATION_NAME, "KubeEdge"),)),
            "the organization of the CSR is not system:nodes",
        ),
        (
            lambda: request(extra=((NameOID.COMMON_NAME, "KubeEdge"),)),
            f"the common name of the CSR is not system:node:{NODE}",
        ),
    ],
)
def test_weak_keys_and_odd_wishes_are_refused_with_one_sentence(
    cloud: Cloud, asked: Callable[[], bytes], words: str
) -> None:
    reply = cloud.ask("/edge.crt", asked(), Nodename=NODE, Authorization=f"Bearer {cloud.jwt}")
    assert reply.status == 401 and words in reply.body.decode() and b"\n" not in reply.body


@pytest.mark.parametrize(
    "key",
    [
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: ec.generate_private_key(ec.SECP521R1()),
        lambda: rsa.generate_private_key(65537, 2048),
    ],
)
def test_any_strong_key_serves(cloud: Cloud, key: Callable[[], Key]) -> None:
    reply = cloud.ask("/edge.crt", request(key=key()), Nodename=NODE, Authorization=f"Bearer {cloud.jwt}")
    assert reply.status == 200 and parse_certificate(reply.body).usages == (CLIENT_AUTH,)


# --- whom a node takes for its cloud

IMPOSTORS = {
    "a node that an older cloud made a server": (node_subject("edge-2"), (SERVER_AUTH, CLIENT_AUTH)),
    "a node in the cloud's organisation": (Subject("system:node:edge-2", "KubeEdge, Inc."), (SERVER_AUTH,)),
    "an administrator": (Subject("kubernetes-admin", "system:masters"), (SERVER_AUTH,)),
}
"""Certificates of the CA with the right name in them."""


@pytest.mark.parametrize("who", IMPOSTORS)
def test_an_edge_tells_a_server_of_its_ca_from_its_cloud(cloud: Cloud, who: str) -> None:
    subject, usages = IMPOSTORS[who]
    impostor = forged(cloud, subject, usages, "127.0.0.1", "localhost")
    mine = cloud.authority.client_certificate(NODE, node_subject(NODE))
    with RawPeer(impostor) as peer:
        served = threading.Thread(target=_accept, args=(peer,))
        served.start()
        events = ClientRecorder()
        WebSocketLinks()().open(peer.url, {"Authorization": "secret"}, mine, events)
        closed = events.next("close")
        served.join()
    assert "is refused: it is not a cloud's: its organisation is" in str(closed)


def test_our_servers_certificate_has_both_marks_of_a_clouds(cloud: Cloud) -> None:
    info = parse_certificate(cloud.authority.server_pair().cert)
    assert (info.usages, info.organizations) == ((SERVER_AUTH,), ("KubeEdge",))


@pytest.mark.parametrize("who", IMPOSTORS)
@pytest.mark.parametrize("with_token", [True, False])
def test_neither_token_nor_request_is_told_to_an_impostor(cloud: Cloud, who: str, with_token: bool) -> None:
    """The address of certificates, taken over by a server of the same CA: joining and renewing."""
    subject, usages = IMPOSTORS[who]
    impostor = forged(cloud, subject, usages, "127.0.0.1", "localhost")
    mine = cloud.authority.client_certificate(NODE, node_subject(NODE))
    heard: list[bytes] = []
    with RawPeer(None) as peer:
        served = threading.Thread(target=_listen, args=(peer, impostor, heard, cloud.authority.ca_der))
        served.start()
        token = cloud.authority.token() if with_token else ""
        with pytest.raises(CertificateError, match=r"is not accepted: it is not a cloud's: its organisation is"):
            join(JoinRequest(f"https://127.0.0.1:{peer.port}", NODE, mine.ca, mine.cert, mine.key, token))
        served.join()
    assert heard == ([b"/ca.crt"] if with_token else [])


def test_our_cloud_and_one_of_a_genuine_make_are_taken(cloud: Cloud, tmp_path: Path) -> None:
    """A genuine cloudcore's: CN and O KubeEdge, serverAuth, made by hand here; an empty name may stand among the others."""
    mine = cloud.authority.client_certificate(NODE, node_subject(NODE))
    ca, cert, key = (str(tmp_path / name) for name in ("ca.crt", "n.crt", "n.key"))
    join(JoinRequest(f"https://127.0.0.1:{cloud.port}", NODE, ca, cert, key, cloud.authority.token()))
    genuine = forged(cloud, CLOUDS, (SERVER_AUTH,), "127.0.0.1")
    with RawPeer(genuine) as peer:
        served = threading.Thread(target=_upgrade, args=(peer,))
        served.start()
        events = ClientRecorder()
        link = WebSocketLinks()()
        link.open(peer.url, {}, mine, events)
        events.next("open")
        served.join()
        link.close()
        events.next("close")


def test_a_shared_pair_that_is_no_servers_is_not_shown_to_nodes(cloud: Cloud, tmp_path: Path) -> None:
    other = FileAuthority(tmp_path / "replica", execute)
    other.import_ca(cloud.authority.ca_pair)
    made = execute(
        IssueCertificate(
            cloud.authority.ca_pair, CLOUDS, (CLIENT_AUTH,), ("localhost", "127.0.0.1"), 100.0, time.time()
        )
    )
    assert not other.import_server_pair(KeyPair(made.cert, made.key))
    assert other.import_server_pair(cloud.authority.server_pair())


def _accept(peer: RawPeer) -> None:
    try:
        peer.accept()
    except (ssl.SSLError, OSError):
        return


def _upgrade(peer: RawPeer) -> None:
    while True:
        try:
            peer.upgrade()
            return
        except (ssl.SSLError, ConnectionError):
            peer.hang_up()  # it only looked


def _listen(peer: RawPeer, tls: TlsPaths, heard: list[bytes], ca: bytes) -> None:
    """A server of certificates: gives the CA to who asks, and notes what else it is told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.cert, tls.key)
    for _ in range(2):
        peer.accept()
        assert peer.socket is not None
        with context.wrap_socket(peer.socket, server_side=True) as talk:
            try:
                head = talk.recv(65536)
            except OSError:
                return
            if not head:
                return
            heard.append(head.split(b" ")[1])
            talk.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ca) + ca)
        if b"/ca.crt" not in head:
            return


# --- what a node may ask a cluster's signers for


def spec(der: bytes, signer: str = "kubernetes.io/kubelet-serving") -> dict[str, Any]:
    pem = x509.load_der_x509_csr(der).public_bytes(serialization.Encoding.PEM)
    return {"signerName": signer, "request": base64.b64encode(pem).decode()}


def test_a_node_asks_a_cluster_for_certificates_of_its_own_only() -> None:
    own = request(names(NODE))
    assert forbidden_wish(NODE, spec(own)) == ""
    assert forbidden_wish(NODE, spec(execute(CreateCsr(node_subject(NODE))).cert)) == ""
    assert forbidden_wish("edge-2", spec(own)) == f"ask for a certificate of system:node:{NODE} in system:nodes"


@pytest.mark.parametrize(
    "asked",
    [
        {"common_name": "system:node:edge-2"},
        {"common_name": "kubernetes-admin", "organization": "system:masters"},
        {"organization": "system:masters"},
        {"extra": ((NameOID.ORGANIZATION_NAME, "system:masters"),)},
        {"extra": ((NameOID.COMMON_NAME, "system:node:edge-2"),)},
    ],
)
def test_a_request_for_somebody_else_is_not_passed_on(asked: dict[str, Any]) -> None:
    assert forbidden_wish(NODE, spec(request(**asked))).startswith("ask for a certificate of ")


@pytest.mark.parametrize("text", [None, 7, "", "x", base64.b64encode(b"-----BEGIN CERTIFICATE REQUEST-----").decode()])
def test_what_is_no_request_is_not_passed_on_either(text: object) -> None:
    wish = forbidden_wish(NODE, {"signerName": "kubernetes.io/kubelet-serving", "request": text})
    assert wish == "ask for a certificate by what is in spec.request: this is not a certificate request"
