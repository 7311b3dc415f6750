"""The certificates of an edge node: files, fetched from the cloud with a token, renewed before they expire.

Implements `CertificateSource` (drivers/link/base.py). The work with HTTP and keys is done by a process of its own (drivers/bootstrap/client.py).
"""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from kubeedge_actors.drivers.bootstrap.protocol import JoinRequest, JoinResult
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.pki.bootstrap_tokens import ca_hash, split_token
from kubeedge_actors.drivers.pki.pem import check_pair, read_certificate, read_pem
from kubeedge_actors.errors import CertificateError, LinkError
from kubeedge_actors.kubernetes.certificates.der import CERTIFICATE
from kubeedge_actors.kubernetes.certificates.info import CertificateInfo, node_subject

log = logging.getLogger(__name__)

EARLIEST, SPREAD = 0.7, 0.2
JOIN_TIMEOUT = 60.0
COMMAND = (sys.executable, "-m", "kubeedge_actors.drivers.bootstrap.client")


def join_in_subprocess(order: JoinRequest) -> JoinResult:
    """Run the order in a short-lived process."""
    import subprocess  # late: only at the first start, and once a year

    try:
        completed = subprocess.run(
            COMMAND,
            input=msgspec.json.encode(order),
            capture_output=True,
            timeout=JOIN_TIMEOUT,
            check=True,
            process_group=0,  # Ctrl+C in a terminal is for us
        )
        return msgspec.json.decode(completed.stdout, type=JoinResult)
    except subprocess.CalledProcessError as error:
        log.error("the process that joins the cloud failed: %s", error.stderr.decode("utf-8", "replace"))
        return JoinResult("the process that joins the cloud failed, see the log")
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        return JoinResult(f"the process that joins the cloud did not do its work: {error}")


def has_joined(directory: Path, node: str) -> bool:
    """Whether `directory` holds a certificate of this node: a cloud has let it in before, and what it runs must go on without one.

    Good or not any more: it may be old, or the machine has no battery for its clock and takes it for 1970.
    """
    try:
        return read_certificate(directory / "node.crt").common_name == node_subject(node).common_name
    except CertificateError:
        return False


class CertificateManager:
    """The files `ca.crt`, `node.crt` and `node.key` of one directory.

    `token` is asked for each time, so that a token file may change; empty: there is none, CertificateError: it can not be read. `cloud` is
    https://HOST:PORT.
    """

    def __init__(
        self,
        directory: Path,
        node: str,
        cloud: str,
        token: Callable[[], str],
        work: Callable[[JoinRequest], JoinResult] = join_in_subprocess,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ca, self._cert, self._key = (directory / name for name in ("ca.crt", "node.crt", "node.key"))
        self._node = node
        self._cloud = cloud
        self._token = token
        self._work = work
        self._clock = clock

    def obtain(self) -> TlsPaths:
        """The paths of valid certificates, fetched with the token if needed. Errors: CertificateError, LinkError."""
        unfit = self._why_unusable()
        token = self._read_token(unfit)
        if not unfit and (not token or self._token_matches_ca(token)):
            return self._files()
        if not token:
            raise CertificateError(f"{unfit}, and no token was given to join with: --token-file FILE, or --token TOKEN")
        try:
            self._join(token)
        except LinkError as error:
            if unfit:
                raise
            log.warning("the token is for another CA, but %s; the certificates there are go on being used", error)
        return self._files()

    def _read_token(self, why_unusable: str) -> str:
        """The token; one that can not be read does not matter while the files are good."""
        try:
            return self._token().strip()
        except CertificateError:
            if why_unusable:
                raise
            return ""

    def renew_at(self) -> float:
        """Between 0.7 and 0.9 of the certificate's life, each certificate at another point; 0 when there is none."""
        try:
            certificate_info = read_certificate(self._cert)
        except CertificateError:
            return 0.0
        return certificate_info.time_at(EARLIEST + SPREAD * _share(certificate_info))

    def renew(self) -> TlsPaths:
        """Fetch a new certificate, authenticated by the current one. Errors: CertificateError, LinkError."""
        self._join("")
        return self._files()

    def _files(self) -> TlsPaths:
        return TlsPaths(str(self._ca), str(self._cert), str(self._key))

    def _join(self, token: str) -> None:
        before = self._hash()
        self._request_certificate(token)
        after = self._hash()
        if before and after != before:
            log.warning(
                "the cloud has another CA (sha256 %.12s..., it was %.12s...): this node joined it anew with its token; what "
                "a cloud that was set up anew does not know, such as pods, is removed here",
                after,
                before,
            )

    def _hash(self) -> str:
        """Which CA we know; empty: none."""
        try:
            return ca_hash(read_pem(self._ca, CERTIFICATE))
        except CertificateError:
            return ""

    def _request_certificate(self, token: str) -> None:
        paths = {"ca": str(self._ca), "cert": str(self._cert), "key": str(self._key)}
        joined = self._work(JoinRequest(cloud=self._cloud, node=self._node, token=token, **paths))
        if joined.error:
            raise CertificateError(joined.error) if joined.final else LinkError(joined.error)

    def _why_unusable(self) -> str:
        """Why the files do not serve, as the beginning of a sentence; empty when they do."""
        missing = [path for path in (self._ca, self._cert, self._key) if not path.exists()]
        if missing:
            return f"there is no {missing[0]}"
        try:
            read_pem(self._ca, CERTIFICATE)
            check_pair(self._cert, self._key)
            certificate_info = read_certificate(self._cert)
        except CertificateError as error:
            log.warning("%s", error)
            return str(error)
        if certificate_info.common_name != node_subject(self._node).common_name:
            return f"{self._cert} is for {certificate_info.common_name}, not for node {self._node}"
        return "" if certificate_info.is_valid(self._clock()) else f"{self._cert} has expired or is not valid yet"

    def _token_matches_ca(self, token: str) -> bool:
        """Whether the token is for our CA; one that can not be read does not matter while the files are good."""
        try:
            return split_token(token)[0] == ca_hash(read_pem(self._ca, CERTIFICATE))
        except CertificateError:
            return True


def _share(certificate_info: CertificateInfo) -> float:
    """A number in [0, 1) that is always the same for one certificate."""
    seed = f"{certificate_info.common_name} {certificate_info.not_before} {certificate_info.key_id.hex()}".encode()
    return int.from_bytes(hashlib.sha256(seed).digest()[:4], "big") / 2**32
