"""What a node may ask the signers of a cluster for: certificates for itself. Pure.

A cloud passes such a request on under its own name, so the signers can not see who asked; that is seen to here.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from kubeedge_actors.errors import CertificateError
from kubeedge_actors.kubernetes.certificates.der import REQUEST, from_pem, parse_request

SIGNERS = frozenset({"kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"})


def forbidden_wish(node: str, spec: Any) -> str:
    """What `node` may not do by a CertificateSigningRequest with this spec, to end the sentence "node N may not"; empty: nothing.

    >>> forbidden_wish("edge-1", {"signerName": "kubernetes.io/kube-apiserver-client"})
    'ask for a certificate of signer kubernetes.io/kube-apiserver-client'
    """
    signer = spec.get("signerName") if isinstance(spec, dict) else None
    if signer not in SIGNERS:
        return f"ask for a certificate of signer {signer}"
    try:
        requested = parse_request(_der(spec.get("request")))
    except CertificateError as error:
        return f"ask for a certificate by what is in spec.request: {error}"
    if requested.is_of(node):
        return ""
    return f"ask for a certificate of {', '.join(requested.common_names) or 'nobody'} in {', '.join(requested.organizations) or 'no group'}"


def _der(request: Any) -> bytes:
    try:
        text = base64.b64decode(request if isinstance(request, str) else "", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise CertificateError("this is not a certificate request") from error
    return from_pem(text, REQUEST) or b""
