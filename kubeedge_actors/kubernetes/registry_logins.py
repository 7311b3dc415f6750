"""Credentials for registries of images in Secrets (`kubernetes.io/dockerconfigjson`, `kubernetes.io/dockercfg`). Pure.

Source: kubelet's credentialprovider.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors import depth_limit

Json = dict[str, Any]

SECRET_TYPES = frozenset({"kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"})
DEFAULT_REGISTRY = "docker.io"
_CONFIG, _OLD_CONFIG = ".dockerconfigjson", ".dockercfg"


class RegistryLogin(NamedTuple):
    """Who may pull from a registry."""

    username: str
    password: str


def registry_of(image: str) -> str:
    """The registry of an image's name.

    >>> registry_of("busybox"), registry_of("localhost:5000/a"), registry_of("ghcr.io/a/b:1")
    ('docker.io', 'localhost:5000', 'ghcr.io')
    """
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else DEFAULT_REGISTRY


def registry_login(image: str, secrets: Iterable[Json]) -> RegistryLogin | None:
    """The first credentials in these secrets that are for the image's registry."""
    registry = registry_of(image)
    for secret in secrets:
        for server, entry in _entries(secret).items():
            if _host(server) == registry and isinstance(entry, dict):
                return _credentials(entry)
    return None


def _host(server: str) -> str:
    host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return DEFAULT_REGISTRY if host in ("index.docker.io", "registry-1.docker.io") else host


def _decoded(text: str) -> Any:
    return msgspec.json.decode(depth_limit.check_depth(base64.b64decode(text)))


def _entries(secret: Json) -> Json:
    data = secret.get("data") or {}
    try:
        if _CONFIG in data:
            return dict(_decoded(data[_CONFIG]).get("auths") or {})
        return dict(_decoded(data.get(_OLD_CONFIG) or "e30="))
    except (ValueError, TypeError, AttributeError):
        return {}  # a secret of another shape holds no credentials; the registry's refusal will show in the pod's status


def _credentials(entry: Json) -> RegistryLogin | None:
    if entry.get("username"):
        return RegistryLogin(username=str(entry["username"]), password=str(entry.get("password") or ""))
    try:
        name, _, password = base64.b64decode(entry.get("auth") or "").decode().partition(":")
    except ValueError:
        return None
    return RegistryLogin(username=name, password=password) if name else None
