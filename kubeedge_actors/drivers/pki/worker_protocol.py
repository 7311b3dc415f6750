"""Orders to the certificate process: one JSON order a line on its input, one JSON result a line on its output.

Keys travel through the pipe only, never on a command line or in the environment.
"""

from __future__ import annotations

import msgspec

from kubeedge_actors.drivers.pki.base import KeyPair
from kubeedge_actors.errors import CertificateError, DriverError
from kubeedge_actors.kubernetes.certificates.info import Subject


class CreateAuthority(msgspec.Struct, frozen=True, tag=True):
    """Make a CA."""

    now: float


class IssueCertificate(msgspec.Struct, frozen=True, tag=True):
    """Make a key and a certificate for it."""

    ca: KeyPair
    subject: Subject
    usages: tuple[int, ...]
    names: tuple[str, ...]
    days: float
    now: float


class CreateCsr(msgspec.Struct, frozen=True, tag=True):
    """Make a key and a certificate request; the result's `cert` is the request."""

    subject: Subject


class SignCsr(msgspec.Struct, frozen=True, tag=True):
    """Sign a request of a node; the result's `key` is empty."""

    ca: KeyPair
    csr: bytes
    subject: Subject
    days: float
    now: float


PkiRequest = CreateAuthority | IssueCertificate | CreateCsr | SignCsr


class WorkerResult(msgspec.Struct, frozen=True):
    """What an order gave, or the sentence why not; `damaged`: the order could not even be understood."""

    cert: bytes = b""
    key: bytes = b""
    error: str = ""
    damaged: bool = False


def execute(order: PkiRequest) -> WorkerResult:
    """Do an order in this process (imports cryptography)."""
    from kubeedge_actors.drivers.pki import x509  # late: 16 MB of memory

    try:
        match order:
            case CreateAuthority():
                pair = x509.new_authority(order.now)
            case IssueCertificate():
                pair = x509.issue(
                    order.ca,
                    order.subject,
                    order.usages,
                    order.names,
                    order.days,
                    order.now,
                )
            case CreateCsr():
                pair = KeyPair(*x509.new_csr(order.subject))
            case SignCsr():
                cert = x509.sign_csr(
                    order.ca,
                    order.csr,
                    order.subject,
                    order.days,
                    order.now,
                )
                pair = KeyPair(cert, b"")
    except CertificateError as refusal:
        return WorkerResult(error=str(refusal))
    except DriverError as error:
        return WorkerResult(error=str(error), damaged=True)
    return WorkerResult(pair.cert, pair.key)
