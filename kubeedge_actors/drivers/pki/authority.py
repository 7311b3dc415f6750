"""The authority of a data directory: CA, certificates and tokens, in PEM files that outlive restarts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kubeedge_actors.drivers.link.base import LinkTls
from kubeedge_actors.drivers.pki.base import (
    ADMIN_GROUP,
    ADMIN_USER,
    CLIENT_AUTH,
    HUB_NAME,
    SERVER_AUTH,
    KeyPair,
    Subject,
    node_subject,
)
from kubeedge_actors.drivers.pki.der import facts
from kubeedge_actors.drivers.pki.files import (
    CERTIFICATE,
    EC_KEY,
    read_pem,
    write_file,
)
from kubeedge_actors.drivers.pki.orders import (
    Issue,
    NewAuthority,
    Order,
    Result,
    SignRequest,
)
from kubeedge_actors.drivers.pki.pairs import check_pair, facts_of, save_pair
from kubeedge_actors.drivers.pki.process import CertificateProcess
from kubeedge_actors.drivers.pki.tokens import check_jwt, make_token
from kubeedge_actors.errors import CertificateError, DriverError

log = logging.getLogger(__name__)

ALWAYS = ("localhost", "127.0.0.1")
NODE_DAYS = 365
SERVER_DAYS = 3650
RENEW_BEFORE = 30 * 86400.0
TOKEN_REFRESH = 12 * 3600.0
TOKEN_LIFE = 2 * TOKEN_REFRESH


class FileAuthority:
    """Fulfils `base.Authority` from the files of one directory.

    What is missing is made, what is there is used again. `CertificateError` with one sentence when a file can not
    be read, is damaged, or the CA's key does not belong to its certificate.
    """

    def __init__(
        self,
        directory: Path,
        order: Callable[[Order], Result] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._order = order or CertificateProcess()
        self._clock = clock
        self._reserved: tuple[str, ...] = ALWAYS
        self._ca = self._load_or_make()

    @property
    def ca_der(self) -> bytes:
        """The certificate of the CA."""
        return self._ca.cert

    @property
    def ca_key_der(self) -> bytes:
        """Its private key (SEC 1), for replicas that share one CA."""
        return self._ca.key

    @property
    def ca_path(self) -> Path:
        """Where the CA's certificate lies."""
        return self._directory / "ca.crt"

    def server(self, names: Iterable[str] = ()) -> LinkTls:
        """Files for a server under these host names and addresses; made anew when they do not fit or end soon.

        localhost and 127.0.0.1 are always among them.
        """
        wanted = tuple(dict.fromkeys((*ALWAYS, *(name for name in names if name))))
        self._reserved = wanted
        return self._pair("server", Subject(HUB_NAME, HUB_NAME), (SERVER_AUTH,), wanted, SERVER_DAYS)

    def client(self, file: str = "admin", subject: Subject | None = None) -> LinkTls:
        """Files for a client of Kubernetes' API, by default an administrator."""
        return self._pair(
            file,
            subject or Subject(ADMIN_USER, ADMIN_GROUP),
            (CLIENT_AUTH,),
            (),
            NODE_DAYS,
        )

    def sign(self, csr: bytes, node: str, usages: Sequence[int] = (CLIENT_AUTH,)) -> bytes:
        """A certificate (DER) for `node`. `CertificateError`: not that node's request; `DriverError`: no request."""
        now, subject = self._clock(), node_subject(node)
        order = SignRequest(self._ca, csr, subject, tuple(usages), self._reserved, NODE_DAYS, now)
        return self._do(order).cert

    def token(self) -> str:
        """A whole bootstrap token, good for a day; make a new one every `TOKEN_REFRESH` seconds."""
        return make_token(self._ca.cert, self._ca.key, self._clock() + TOKEN_LIFE)

    def write_token(self, path: Path) -> None:
        """Put a new token into a file that only its owner can read."""
        write_file(path, self.token().encode() + b"\n")

    def check_token(self, jwt: str) -> None:
        """Nothing when the token is genuine and not expired, otherwise `CertificateError`."""
        check_jwt(jwt, self._ca.key, self._clock())

    def close(self) -> None:
        """End the certificate process, if it runs."""
        if isinstance(self._order, CertificateProcess):
            self._order.close()

    def _load_or_make(self) -> KeyPair:
        cert, key = self._paths("ca")
        if not cert.exists() and not key.exists():
            made = self._do(NewAuthority(self._clock()))
            save_pair(cert, key, KeyPair(made.cert, made.key))
            return KeyPair(made.cert, made.key)
        pair = KeyPair(read_pem(cert, CERTIFICATE), read_pem(key, EC_KEY))
        check_pair(cert, key)
        if not facts_of(cert).valid(self._clock()):
            raise CertificateError(f"the CA's certificate {cert} has expired")
        return pair

    def _pair(
        self,
        file: str,
        subject: Subject,
        usages: tuple[int, ...],
        names: tuple[str, ...],
        days: float,
    ) -> LinkTls:
        cert, key = self._paths(file)
        if not self._fits(cert, key, subject, names):
            made = self._do(Issue(self._ca, subject, usages, names, days, self._clock()))
            save_pair(cert, key, KeyPair(made.cert, made.key))
        return LinkTls(str(self.ca_path), str(cert), str(key))

    def _fits(self, cert: Path, key: Path, subject: Subject, names: tuple[str, ...]) -> bool:
        if not cert.exists() or not key.exists():
            return False
        try:
            check_pair(cert, key)
            found = facts_of(cert)
        except CertificateError as error:
            log.warning("%s; it is made anew", error)
            return False
        same = (found.common_name, found.organizations) == (
            subject.common_name,
            (subject.organization,),
        )
        ours = found.authority_id == facts(self._ca.cert).key_id or not found.authority_id
        return same and ours and set(names) <= set(found.names) and found.valid(self._clock(), RENEW_BEFORE)

    def _paths(self, file: str) -> tuple[Path, Path]:
        return self._directory / f"{file}.crt", self._directory / f"{file}.key"

    def _do(self, order: Order) -> Result:
        result = self._order(order)
        if result.error:
            raise DriverError(result.error) if result.damaged else CertificateError(result.error)
        return result


def adopt(directory: Path, pair: KeyPair) -> None:
    """Make a CA from elsewhere (another replica, a genuine cloudcore) that of a directory which has none yet."""
    save_pair(directory / "ca.crt", directory / "ca.key", pair)
