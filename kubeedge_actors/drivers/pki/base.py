"""Protocol and values of certificates that both sides share.

Contract of every Authority
* The CA survives restarts; what it signed stays valid. Private keys are written with mode 0600, each file whole or
  not at all.
* `CertificateError` with one plain sentence for what was refused or can not be read; methods may be called from any
  thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from kubeedge_actors.drivers.pki.bootstrap_tokens import TokenClaims


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key (SEC 1), both DER."""

    cert: bytes
    key: bytes


class CertificateAuthority(Protocol):
    """Signs certificates for edge nodes."""

    @property
    def ca_der(self) -> bytes:
        """The certificate of the CA."""

    def sign(self, csr: bytes, node: str) -> bytes:
        """A client certificate (DER) for `node`: its subject, no other names, no other usage.

        `CertificateError`: the request (DER) is not that node's; `DriverError`: it is not a request at all.
        """

    def check_token(self, jwt: str) -> TokenClaims:
        """What a token says, verified. Error: CertificateError when it is not genuine or has expired."""


class TlsPaths(msgspec.Struct, frozen=True):
    """Paths of three PEM files: the CA that the other side must chain to, our certificate, our private key."""

    ca: str
    cert: str
    key: str
