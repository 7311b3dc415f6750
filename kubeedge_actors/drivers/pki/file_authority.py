"""The authority of a data directory: CA, certificates and tokens, in PEM files that outlive restarts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kubeedge_actors.drivers.pki.base import KeyPair, TlsPaths
from kubeedge_actors.drivers.pki.bootstrap_tokens import TokenClaims, check_jwt, make_token
from kubeedge_actors.drivers.pki.pem import check_pair, read_certificate, read_pem, save_pair, write_file
from kubeedge_actors.drivers.pki.worker_client import PkiWorkerClient
from kubeedge_actors.drivers.pki.worker_protocol import (
    CreateAuthority,
    IssueCertificate,
    PkiRequest,
    SignCsr,
    WorkerResult,
)
from kubeedge_actors.errors import CertificateError, DriverError
from kubeedge_actors.kubernetes.certificates.der import CERTIFICATE, EC_KEY, parse_certificate
from kubeedge_actors.kubernetes.certificates.info import (
    ADMIN_GROUP,
    ADMIN_USER,
    CLIENT_AUTH,
    HUB_NAME,
    SERVER_AUTH,
    Subject,
    node_subject,
)

log = logging.getLogger(__name__)

ALWAYS = ("localhost", "127.0.0.1")
SERVER, INCOMING = "server", ".incoming"
NODE_DAYS = 365
SERVER_DAYS = 3650
RENEW_BEFORE = 30 * 86400.0
TOKEN_REFRESH = 12 * 3600.0
TOKEN_LIFE = 2 * TOKEN_REFRESH


class FileAuthority:
    """Implements `base.CertificateAuthority` with the files of one directory.

    What is missing is made, what is there is used again. `CertificateError` with one sentence when a file can not
    be read, is damaged, or the CA's key does not belong to its certificate.
    """

    def __init__(
        self,
        directory: Path,
        request: Callable[[PkiRequest], WorkerResult] | None = None,
        clock: Callable[[], float] = time.time,
        node_days: int = NODE_DAYS,
    ) -> None:
        self._directory, self._node_days = directory, node_days
        self._request = request or PkiWorkerClient()
        self._clock = clock
        self.fresh = False
        """Whether the CA was made by this object: nothing outside depends on it yet."""
        self._ca = self._load_or_make()

    @property
    def ca_der(self) -> bytes:
        """The certificate of the CA."""
        return self._ca.cert

    @property
    def ca_key_der(self) -> bytes:
        """Its private key (SEC 1)."""
        return self._ca.key

    @property
    def ca_pair(self) -> KeyPair:
        """The CA with its private key, for replicas that share it."""
        return self._ca

    def now(self) -> float:
        """The time by which certificates and tokens are judged, epoch seconds."""
        return self._clock()

    @property
    def ca_path(self) -> Path:
        """Where the CA's certificate lies."""
        return self._directory / "ca.crt"

    def server_certificate(self, names: Iterable[str] = ()) -> TlsPaths:
        """Files for a server under these host names and addresses; made anew when they do not fit or end soon.

        localhost and 127.0.0.1 are always among them.
        """
        all_names = tuple(dict.fromkeys((*ALWAYS, *(name for name in names if name))))
        return self._pair(SERVER, Subject(HUB_NAME, HUB_NAME), (SERVER_AUTH,), all_names, SERVER_DAYS)

    def server_pair(self) -> KeyPair:
        """The servers' certificate and key, as they are in the files now."""
        cert, key = self._paths(SERVER)
        return KeyPair(read_pem(cert, CERTIFICATE), read_pem(key, EC_KEY))

    def import_server_pair(self, pair: KeyPair, names: Iterable[str] = ()) -> bool:
        """Make a pair from elsewhere that of our servers; False when it does not serve under these names, or ends soon."""
        cert, key = self._paths(f"{SERVER}{INCOMING}")
        try:
            save_pair(cert, key, pair)
            if not self._fits(cert, key, Subject(HUB_NAME, HUB_NAME), (SERVER_AUTH,), (*ALWAYS, *names)):
                return False
            if not self._paths(SERVER)[0].exists() or self.server_pair() != pair:
                save_pair(*self._paths(SERVER), pair)
            return True
        finally:
            _remove(cert, key)

    def import_ca(self, pair: KeyPair) -> None:
        """Make a CA from elsewhere (another replica, a genuine cloudcore) ours; what the old one signed is made anew.

        `CertificateError` when it is damaged or has expired: then nothing has changed.
        """
        cert, key = self._paths(f"ca{INCOMING}")
        try:
            save_pair(cert, key, pair)
            check_pair(cert, key)
            if not read_certificate(cert).is_valid(self._clock()):
                raise CertificateError("the CA that is shared has expired or is not valid yet")
            save_pair(*self._paths("ca"), pair)
        finally:
            _remove(cert, key)
        self._ca, self.fresh = pair, False

    def client_certificate(self, file: str = "admin", subject: Subject | None = None) -> TlsPaths:
        """Files for a client of Kubernetes' API, by default an administrator."""
        return self._pair(
            file,
            subject or Subject(ADMIN_USER, ADMIN_GROUP),
            (CLIENT_AUTH,),
            (),
            SERVER_DAYS,
        )

    def sign(self, csr: bytes, node: str) -> bytes:
        """A certificate (DER) for `node`. `CertificateError`: not that node's request; `DriverError`: no request."""
        return self._execute(SignCsr(self._ca, csr, node_subject(node), self._node_days, self._clock())).cert

    def token(self) -> str:
        """A whole bootstrap token, good for a day; make a new one every `TOKEN_REFRESH` seconds."""
        return make_token(self._ca.cert, self._ca.key, self._clock() + TOKEN_LIFE)

    def write_token(self, path: Path) -> None:
        """Put a new token into a file that only its owner can read."""
        write_file(path, self.token().encode() + b"\n")

    def check_token(self, jwt: str) -> TokenClaims:
        """What a token says, verified. Error: CertificateError when it is not genuine or has expired."""
        return check_jwt(jwt, self._ca.key, self._clock())

    def close(self) -> None:
        """End the certificate process, if it runs."""
        if isinstance(self._request, PkiWorkerClient):
            self._request.close()

    def _load_or_make(self) -> KeyPair:
        cert, key = self._paths("ca")
        if not cert.exists() and not key.exists():
            result = self._execute(CreateAuthority(self._clock()))
            save_pair(cert, key, KeyPair(result.cert, result.key))
            self.fresh = True
            return KeyPair(result.cert, result.key)
        pair = KeyPair(read_pem(cert, CERTIFICATE), read_pem(key, EC_KEY))
        check_pair(cert, key)
        if not read_certificate(cert).is_valid(self._clock()):
            raise CertificateError(f"the CA's certificate {cert} has expired")
        return pair

    def _pair(
        self,
        file: str,
        subject: Subject,
        usages: tuple[int, ...],
        names: tuple[str, ...],
        days: float,
    ) -> TlsPaths:
        cert, key = self._paths(file)
        if not self._fits(cert, key, subject, usages, names):
            result = self._execute(IssueCertificate(self._ca, subject, usages, names, days, self._clock()))
            save_pair(cert, key, KeyPair(result.cert, result.key))
        return TlsPaths(str(self.ca_path), str(cert), str(key))

    def _fits(self, cert: Path, key: Path, subject: Subject, usages: tuple[int, ...], names: tuple[str, ...]) -> bool:
        if not cert.exists() or not key.exists():
            return False
        try:
            check_pair(cert, key)
            certificate_info = read_certificate(cert)
        except CertificateError as error:
            log.warning("%s; it is made anew", error)
            return False
        same = (certificate_info.common_name, certificate_info.organizations) == (
            subject.common_name,
            (subject.organization,),
        )
        of_own_ca = (
            certificate_info.authority_key_id == parse_certificate(self._ca.cert).key_id
            or not certificate_info.authority_key_id
        )
        return (
            same
            and of_own_ca
            and set(usages) <= set(certificate_info.usages)
            and set(names) <= set(certificate_info.sans)
            and certificate_info.is_valid(self._clock(), RENEW_BEFORE)
        )

    def _paths(self, file: str) -> tuple[Path, Path]:
        return self._directory / f"{file}.crt", self._directory / f"{file}.key"

    def _execute(self, order: PkiRequest) -> WorkerResult:
        result = self._request(order)
        if result.error:
            raise DriverError(result.error) if result.damaged else CertificateError(result.error)
        return result


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
