"""Whom certificates name, and what one reads off them and off requests for them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SERVER_AUTH, CLIENT_AUTH = 1, 2
"""Extended key usages, numbered as on the wire (source: Go crypto/x509 ExtKeyUsage)."""

NODE_USER = "system:node:"
NODE_GROUP = "system:nodes"
ADMIN_USER = "kubernetes-admin"
ADMIN_GROUP = "system:masters"
LEGACY_USER = "kubeedge.io"
HUB_NAME = "KubeEdge"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a certificate is for: Kubernetes reads the common name as user and the organisation as group."""

    common_name: str
    organization: str


def node_subject(node: str) -> Subject:
    """The subject that an edge node must have."""
    return Subject(NODE_USER + node, NODE_GROUP)


def node_of(common_name: str, organizations: Sequence[str]) -> str | None:
    """The node that a certificate is for; None when it is not a node's."""
    if not common_name.startswith(NODE_USER) or NODE_GROUP not in organizations:
        return None
    return common_name[len(NODE_USER) :] or None


def why_not_the_clouds(certificate: CertificateInfo) -> str:
    """What is wrong with a verified certificate that a server shows as that of a cloud, to end a sentence; empty: nothing.

    Chain and name alone do not tell a cloud from a node: both have a certificate of one CA, and what names a node's
    certificate bears is for a cloud of another make, or an older one, to decide. A genuine cloudcore's has the same two marks.
    """
    if SERVER_AUTH not in certificate.usages:
        return "it is not for a server (no extended key usage serverAuth)"
    if HUB_NAME not in certificate.organizations or node_of(certificate.common_name, certificate.organizations):
        shown = ", ".join(certificate.organizations) or "none"
        return f"it is not a cloud's: its organisation is {shown}, not {HUB_NAME}"
    return ""


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """What one reads off a certificate.

    Times are epoch seconds; `sans` are the subject alternative names, addresses included; `key_id` identifies the
    certificate's key, `authority_key_id` that of its issuer (empty when the certificate does not say). `usages`: what it
    says that it is good for, SERVER_AUTH and CLIENT_AUTH.
    """

    common_name: str
    organizations: tuple[str, ...]
    not_before: float
    not_after: float
    sans: tuple[str, ...] = ()
    key_id: bytes = b""
    authority_key_id: bytes = b""
    usages: tuple[int, ...] = ()
    serial: int = 0

    def is_valid(self, now: float, margin: float = 0.0) -> bool:
        """True when it may be used now and for `margin` seconds more."""
        return self.not_before <= now < self.not_after - margin

    def time_at(self, fraction: float) -> float:
        """The moment (epoch seconds) at which `fraction` of its life is over."""
        return self.not_before + fraction * (self.not_after - self.not_before)


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """Whom a certificate request names: all common names and organisations of its subject."""

    common_names: tuple[str, ...]
    organizations: tuple[str, ...]

    def is_of(self, node: str) -> bool:
        """Whether its subject is that of this node and of nobody else."""
        subject = node_subject(node)
        return self.common_names == (subject.common_name,) and self.organizations == (subject.organization,)
