"""The file that makes kubectl talk to this server as its administrator."""

from __future__ import annotations

import base64

import msgspec

from .errors import Json

NAME = "kubeedge-actors"


def kubeconfig(
    url: str, ca_pem: bytes | str = b"", certificate_pem: bytes | str = b"", key_pem: bytes | str = b""
) -> str:
    """A kubeconfig (YAML in its JSON form) for the server at `url`; without certificates for plain HTTP.

    It may hold a private key: write it with mode 0600.
    """
    cluster: Json = {"server": url}
    user: Json = {}
    if ca_pem:
        cluster["certificate-authority-data"] = base64_text(ca_pem)
    if certificate_pem:
        user = {"client-certificate-data": base64_text(certificate_pem), "client-key-data": base64_text(key_pem)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": "admin", "user": user}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": "admin"}}],
        "current-context": NAME,
    }
    return msgspec.json.format(msgspec.json.encode(config), indent=2).decode() + "\n"


def base64_text(pem: bytes | str) -> str:
    """Base64 of a file's content."""
    return base64.b64encode(pem.encode() if isinstance(pem, str) else pem).decode()
