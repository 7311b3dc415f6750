"""The volumes of a pod as kubectl describe prints them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Json = dict[str, Any]


def volume_lines(volumes: Sequence[Json]) -> Iterator[str]:
    """The lines of all volumes."""
    if not volumes:
        yield "Volumes:\t<none>"
        return
    yield "Volumes:"
    for volume in volumes:
        yield f"  {volume['name']}:"
        kind = next((name for name in volume if name in KINDS), "")
        lines = KINDS[kind](volume[kind] or {}) if kind else _other(volume)
        yield from (f"    {line}" for line in lines)


def _host_path(source: Json) -> Iterator[str]:
    yield "Type:\tHostPath (bare host directory volume)"
    yield f"Path:\t{source.get('path', '')}"
    yield f"HostPathType:\t{source.get('type', '<none>')}"


def _empty_dir(source: Json) -> Iterator[str]:
    yield "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)"
    yield f"Medium:\t{source.get('medium', '')}"
    yield f"SizeLimit:\t{source.get('sizeLimit') or '<unset>'}"


def _secret(source: Json) -> Iterator[str]:
    yield "Type:\tSecret (a volume populated by a Secret)"
    yield f"SecretName:\t{source.get('secretName', '')}"
    yield _optional(source)


def _config_map(source: Json) -> Iterator[str]:
    yield "Type:\tConfigMap (a volume populated by a ConfigMap)"
    yield f"Name:\t{source.get('name', '')}"
    yield _optional(source)


def _claim(source: Json) -> Iterator[str]:
    yield "Type:\tPersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)"
    yield f"ClaimName:\t{source.get('claimName', '')}"
    yield f"ReadOnly:\t{_truth(source.get('readOnly'))}"


def _downward(source: Json) -> Iterator[str]:
    yield "Type:\tDownwardAPI (a volume populated by information about the pod)"
    yield "Items:"
    for item in source.get("items") or ():
        path = (item.get("fieldRef") or {}).get("fieldPath") or (item.get("resourceFieldRef") or {}).get("resource")
        yield f"  {path} -> {item.get('path', '')}"


def _projected(source: Json) -> Iterator[str]:
    yield "Type:\tProjected (a volume that contains injected data from multiple sources)"
    for part in source.get("sources") or ():
        if secret := part.get("secret"):
            yield f"SecretName:\t{secret.get('name', '')}"
            yield _optional(secret)
        elif part.get("downwardAPI"):
            yield "DownwardAPI:\ttrue"
        elif config_map := part.get("configMap"):
            yield f"ConfigMapName:\t{config_map.get('name', '')}"
            yield _optional(config_map)
        elif token := part.get("serviceAccountToken"):
            yield f"TokenExpirationSeconds:\t{token.get('expirationSeconds', 3600)}"


def _other(volume: Json) -> Iterator[str]:
    yield f"Type:\t{', '.join(name for name in volume if name != 'name') or '<unknown>'}"


def _optional(source: Json) -> str:
    return f"Optional:\t{_truth(source.get('optional'))}"


def _truth(value: object) -> str:
    return "true" if value else "false"


KINDS: dict[str, Callable[[Json], Iterator[str]]] = {
    "hostPath": _host_path,
    "emptyDir": _empty_dir,
    "secret": _secret,
    "configMap": _config_map,
    "persistentVolumeClaim": _claim,
    "downwardAPI": _downward,
    "projected": _projected,
}
