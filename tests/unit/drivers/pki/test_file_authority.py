"""The authority: what it signs, what it refuses, what it keeps."""

from __future__ import annotations

import contextlib
import os
import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeedge_actors.drivers.pki.base import KeyPair, TlsPaths
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.pki.pem import check_pair, read_certificate, read_pem, write_file, write_pem
from kubeedge_actors.drivers.pki.worker_client import PkiWorkerClient
from kubeedge_actors.drivers.pki.worker_protocol import CreateAuthority, CreateCsr, IssueCertificate, execute
from kubeedge_actors.errors import CertificateError, DriverError
from kubeedge_actors.kubernetes.certificates.der import CERTIFICATE, EC_KEY, from_pem, parse_certificate, to_pem
from kubeedge_actors.kubernetes.certificates.info import CLIENT_AUTH, Subject, node_of, node_subject
from tests.support.certificates import TestCa

DAY = 86400.0
NOW = 1_800_000_000.0
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(tmp_path: Path, clock: Clock) -> Callable[[], FileAuthority]:
    return lambda: FileAuthority(tmp_path, execute, clock)


def request(
    common_name: str = "system:node:n1",
    organization: str = "system:nodes",
    names: tuple[str, ...] = (),
    key: Key | None = None,
) -> bytes:
    """A certificate request as a node makes it, or as it should not."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.ExtensionType:
    return certificate.extensions.get_extension_for_class(kind).value


# --- the CA


def test_the_ca_is_the_originals_with_what_strict_verification_demands() -> None:
    pair = execute(CreateAuthority(NOW))
    ca = x509.load_der_x509_certificate(pair.cert)
    assert ca.subject == ca.issuer == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "KubeEdge")])
    assert ca.serial_number == 1024
    assert isinstance(ca.public_key(), ec.EllipticCurvePublicKey)
    assert ca.not_valid_before_utc < datetime.fromtimestamp(NOW, UTC)
    assert (ca.not_valid_after_utc - datetime.fromtimestamp(NOW, UTC)).days == 36400
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign and usage.digital_signature and usage.key_encipherment and not usage.crl_sign
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).critical
    assert extension(ca, x509.SubjectKeyIdentifier) == x509.SubjectKeyIdentifier.from_public_key(ca.public_key())
    assert extension(ca, x509.AuthorityKeyIdentifier)
    assert list(ca.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    ]
    assert pair.key[:1] == b"\x30" and to_pem(pair.key, EC_KEY).startswith("-----BEGIN EC PRIVATE KEY-----")
    serialization.load_pem_private_key(to_pem(pair.key, EC_KEY).encode(), None)  # SEC 1, as its label says


def test_the_ca_and_what_it_signed_survive_a_restart(opened: Callable[[], FileAuthority], tmp_path: Path) -> None:
    first = opened()
    server, admin = first.server_certificate(["edge.example"]), first.client_certificate()
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = opened()
    assert again.ca_der == first.ca_der
    assert (again.server_certificate(["edge.example"]), again.client_certificate()) == (server, admin)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == written


def test_private_files_are_for_their_owner_only(opened: Callable[[], FileAuthority], tmp_path: Path) -> None:
    authority = opened()
    authority.server_certificate()
    authority.client_certificate()
    authority.write_token(tmp_path / "token")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    private = {name for name, mode in modes.items() if mode == 0o600}
    assert private == {"ca.key", "server.key", "admin.key", "token"}
    assert {modes[name] for name in modes.keys() - private} == {0o644}


def test_a_ca_from_elsewhere_can_be_adopted_and_what_the_old_one_signed_is_made_anew(
    opened: Callable[[], FileAuthority], tmp_path: Path
) -> None:
    authority, made = opened(), execute(CreateAuthority(NOW))
    before = Path(authority.server_certificate().cert).read_bytes()
    authority.import_ca(KeyPair(made.cert, made.key))
    assert (authority.ca_der, authority.ca_key_der) == (made.cert, made.key)
    assert (
        read_certificate(Path(authority.server_certificate().cert)).authority_key_id
        == parse_certificate(made.cert).key_id
    )
    assert Path(authority.server_certificate().cert).read_bytes() != before
    assert opened().ca_der == made.cert
    assert not list(tmp_path.glob("*.incoming.*"))


def test_a_damaged_ca_or_one_that_is_not_valid_is_not_adopted(
    opened: Callable[[], FileAuthority], clock: Clock
) -> None:
    authority = opened()
    before = authority.ca_pair
    made, other = execute(CreateAuthority(NOW)), execute(CreateAuthority(NOW + DAY))
    for bad in (KeyPair(made.cert, other.key), KeyPair(b"nonsense", made.key), KeyPair(other.cert, other.key)):
        with pytest.raises(CertificateError):
            authority.import_ca(bad)
    assert authority.ca_pair == opened().ca_pair == before


def test_what_it_signs_is_accepted_by_strict_verification(tmp_path: Path) -> None:
    authority = FileAuthority(tmp_path, execute)
    server, client = authority.server_certificate(["edge.example"]), authority.client_certificate()
    shaken_hands(server, client, strict=True)


def test_an_older_authority_without_key_identifiers_stays_and_so_does_what_it_signed(tmp_path: Path) -> None:
    old = installed(TestCa(tmp_path, identified=False), tmp_path)
    authority = FileAuthority(tmp_path, execute)
    assert authority.server_certificate() == TlsPaths(
        *(str(tmp_path / name) for name in ("ca.crt", "server.crt", "server.key"))
    )
    assert {name: (tmp_path / name).read_bytes() for name in old} == old
    shaken_hands(authority.server_certificate(), authority.client_certificate())


def test_what_an_older_authority_signs_anew_is_kept_too(tmp_path: Path) -> None:
    installed(TestCa(tmp_path, identified=False), tmp_path)
    FileAuthority(tmp_path, execute).server_certificate(["edge.example"])
    made = (tmp_path / "server.crt").read_bytes()
    FileAuthority(tmp_path, execute).server_certificate(["edge.example"])
    assert (tmp_path / "server.crt").read_bytes() == made


def installed(ca: TestCa, folder: Path) -> dict[str, bytes]:
    """A data directory with this CA and a server's certificate of it; the files' contents by name."""
    server = ca.server("localhost", "127.0.0.1", life=timedelta(days=365))
    moved = {"ca.crt": ca.path, "ca.key": ca.key_path, "server.crt": server.cert, "server.key": server.key}
    for name, path in moved.items():
        Path(path).rename(folder / name)
    return {name: (folder / name).read_bytes() for name in moved}


def shaken_hands(server: TlsPaths, client: TlsPaths, *, strict: bool = False) -> None:
    """A TLS handshake in memory in which both sides verify the other."""
    contexts = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    for context, own in zip(contexts, (server, client), strict=True):
        context.load_cert_chain(own.cert, own.key)
        context.load_verify_locations(own.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        if strict:
            context.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        contexts[1].wrap_bio(down, up, server_hostname="localhost"),
        contexts[0].wrap_bio(up, down, server_side=True),
    )
    for end in ends * 2:
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    assert all(end.getpeercert() for end in ends)


# --- server and people


def test_a_server_is_called_localhost_and_whatever_it_is_told(opened: Callable[[], FileAuthority]) -> None:
    tls = opened().server_certificate(["10.0.0.7", "edge.example", "::1", ""])
    assert read_certificate(Path(tls.cert)).sans == ("localhost", "127.0.0.1", "10.0.0.7", "edge.example", "::1")
    certificate = x509.load_pem_x509_certificate(Path(tls.cert).read_bytes())
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    assert extension(certificate, x509.AuthorityKeyIdentifier) and extension(certificate, x509.SubjectKeyIdentifier)


def test_a_new_address_makes_a_new_server_certificate(opened: Callable[[], FileAuthority]) -> None:
    authority = opened()
    before = Path(authority.server_certificate().cert).read_bytes()
    assert Path(authority.server_certificate(["10.0.0.7"]).cert).read_bytes() != before


def test_a_server_certificate_that_ends_soon_is_made_anew(opened: Callable[[], FileAuthority], clock: Clock) -> None:
    before = read_certificate(Path(opened().server_certificate().cert))
    clock.now = before.not_after - 29 * DAY
    assert read_certificate(Path(opened().server_certificate().cert)).not_after > before.not_after


def test_a_server_certificate_of_another_ca_is_made_anew(opened: Callable[[], FileAuthority], tmp_path: Path) -> None:
    tls = opened().server_certificate()
    before = Path(tls.cert).read_bytes()
    (tmp_path / "ca.crt").unlink()
    (tmp_path / "ca.key").unlink()
    assert Path(opened().server_certificate().cert).read_bytes() != before


def test_a_damaged_server_certificate_is_made_anew(opened: Callable[[], FileAuthority]) -> None:
    tls = opened().server_certificate()
    Path(tls.cert).write_text("nonsense", encoding="ascii")
    check_pair(Path(opened().server_certificate().cert), Path(tls.key))


def test_an_administrator_is_a_master_of_kubernetes(opened: Callable[[], FileAuthority]) -> None:
    certificate = read_certificate(Path(opened().client_certificate().cert))
    assert (certificate.common_name, certificate.organizations) == ("kubernetes-admin", ("system:masters",))


# --- nodes


def test_a_node_gets_a_certificate_for_its_own_name(opened: Callable[[], FileAuthority]) -> None:
    authority = opened()
    made = execute(CreateCsr(node_subject("n1")))
    certificate = x509.load_der_x509_certificate(authority.sign(made.cert, "n1"))
    info = parse_certificate(certificate.public_bytes(serialization.Encoding.DER))
    assert node_of(info.common_name, info.organizations) == "n1"
    assert info.authority_key_id == parse_certificate(authority.ca_der).key_id
    assert 364 * DAY < info.not_after - NOW <= 365 * DAY
    assert 0 < certificate.serial_number < 2**63
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    ca = x509.load_der_x509_certificate(authority.ca_der)
    certificate.verify_directly_issued_by(ca)


@pytest.mark.parametrize(
    ("csr", "sentence"),
    [
        (request("system:node:n2"), "the common name of the CSR is not system:node:n1"),
        (request("kubernetes-admin"), "the common name of the CSR is not system:node:n1"),
        (request(organization="system:masters"), "the organization of the CSR is not system:nodes"),
        (request(names=("localhost",)), "the CSR asks for the names localhost, which no node's certificate has"),
        (request(names=("n1.local", "b")), "the CSR asks for the names n1.local, b, which no node's certificate has"),
    ],
)
def test_a_request_for_what_is_not_the_nodes_is_refused(
    opened: Callable[[], FileAuthority], csr: bytes, sentence: str
) -> None:
    with pytest.raises(CertificateError, match=sentence):
        opened().sign(csr, "n1")


def broken_signature() -> bytes:
    csr = bytearray(request())
    csr[-1] ^= 1
    return bytes(csr)


@pytest.mark.parametrize(
    "csr",
    [
        b"",
        b"nonsense",
        b"\x30\x80",
        request()[:-5],
        broken_signature(),
    ],
)
def test_what_is_no_request_is_an_error_of_another_kind(opened: Callable[[], FileAuthority], csr: bytes) -> None:
    with pytest.raises(DriverError, match="failed to parse csr") as caught:
        opened().sign(csr, "n1")
    assert not isinstance(caught.value, CertificateError)


def test_only_a_nodes_certificate_names_a_node() -> None:
    assert node_of("system:node:n1", ("system:nodes",)) == "n1"
    assert node_of("system:node:n1", ("system:masters",)) is None
    assert node_of("n1", ("system:nodes",)) is None
    assert node_of("system:node:", ("system:nodes",)) is None


# --- reading certificates without the library


@pytest.mark.parametrize("years", [1, 30, 200])
def test_facts_are_what_the_library_reads(years: int) -> None:
    made = execute(CreateAuthority(NOW))
    names = ("localhost", "10.0.0.1", "fe80::1", "x.example")
    order = IssueCertificate(
        KeyPair(made.cert, made.key), Subject("näme", "örg"), (CLIENT_AUTH,), names[:3], years * 365, NOW
    )
    issued = execute(order)
    info, certificate = parse_certificate(issued.cert), x509.load_der_x509_certificate(issued.cert)
    assert (info.common_name, info.organizations, info.sans) == ("näme", ("örg",), names[:3])
    assert info.not_before == certificate.not_valid_before_utc.timestamp()
    assert info.not_after == certificate.not_valid_after_utc.timestamp()
    assert info.is_valid(NOW) and not info.is_valid(info.not_after) and not info.is_valid(info.not_before - 1)
    assert info.time_at(0.5) == pytest.approx((info.not_before + info.not_after) / 2)


def test_no_bytes_whatever_are_more_than_not_a_certificate() -> None:
    good = execute(CreateAuthority(NOW)).cert
    damaged = [good[:length] for length in range(0, len(good), 3)]
    damaged += [good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :] for at in range(len(good))]
    for certificate in [*damaged, os.urandom(300), b"", b"\x30\x84\xff\xff\xff\xff"]:
        try:
            parse_certificate(certificate)
        except CertificateError as error:
            assert str(error) == "this is not a certificate"


# --- files


def test_pem_text_is_what_everybody_else_writes() -> None:
    made = execute(CreateAuthority(NOW))
    theirs = x509.load_der_x509_certificate(made.cert).public_bytes(serialization.Encoding.PEM).decode()
    assert to_pem(made.cert, CERTIFICATE) == theirs
    assert from_pem("a comment\n" + theirs.replace("\n", "\r\n"), CERTIFICATE) == made.cert


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.write_text("nonsense", encoding="ascii"), "ca.crt is damaged: it holds no whole PEM block"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "ca.crt is damaged: it is not a PEM file"),
        (lambda path: path.write_text(path.read_text(encoding="ascii")[:200], encoding="ascii"), "ca.crt is damaged"),
        (lambda path: path.unlink(), "ca.crt can not be read: No such file or directory"),
        (lambda path: (path.unlink(), path.mkdir()), "ca.crt can not be read: Is a directory"),
        (lambda path: write_pem(path, b"not a certificate", CERTIFICATE), "do not belong together, or one is damaged"),
        (lambda path: write_pem(path, execute(CreateAuthority(NOW)).cert, CERTIFICATE), "do not belong together"),
    ],
)
def test_a_damaged_ca_is_one_sentence_and_is_never_replaced(
    opened: Callable[[], FileAuthority], tmp_path: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    opened()
    damage(tmp_path / "ca.crt")
    key = (tmp_path / "ca.key").read_bytes()
    with pytest.raises(CertificateError, match=sentence):
        opened()
    assert (tmp_path / "ca.key").read_bytes() == key


def test_an_expired_ca_is_one_sentence(opened: Callable[[], FileAuthority], clock: Clock) -> None:
    opened()
    clock.now += 101 * 365 * DAY
    with pytest.raises(CertificateError, match=r"ca\.crt has expired"):
        opened()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.key"
    write_file(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CertificateError, match=r"x\.key can not be written: No space left on device"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.key"]


def test_reading_says_which_block_is_missing(tmp_path: Path) -> None:
    write_pem(tmp_path / "a", b"abc", EC_KEY)
    with pytest.raises(CertificateError, match="no whole PEM block 'CERTIFICATE'"):
        read_pem(tmp_path / "a", CERTIFICATE)


# --- the process that has the library


def test_the_certificate_process_does_what_the_library_does_and_comes_back_when_it_was_idle() -> None:
    process = PkiWorkerClient()
    try:
        made = process(CreateAuthority(NOW))
        assert parse_certificate(made.cert).common_name == "KubeEdge"
        assert process._child is not None
        process._child.kill()  # as if it had gone by itself
        process._child.wait()
        again = process(CreateCsr(node_subject("n1")))
        assert x509.load_der_x509_csr(again.cert).is_signature_valid
    finally:
        process.close()
    assert process._child is None


def test_a_refusal_comes_back_from_the_certificate_process(tmp_path: Path) -> None:
    authority = FileAuthority(tmp_path)
    try:
        with pytest.raises(CertificateError, match="the common name of the CSR is not system:node:n2"):
            authority.sign(request(), "n2")
        with pytest.raises(DriverError, match="failed to parse csr"):
            authority.sign(b"nonsense", "n2")
    finally:
        authority.close()
