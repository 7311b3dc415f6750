"""The environment of a container: plain values, references, `$(VAR)` (source: kubelet makeEnvironmentVariables)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from kubeedge_actors.actors.edged.downward import Surroundings, field, resource
from kubeedge_actors.actors.edged.podspec import ContainerView, PodView
from kubeedge_actors.actors.edged.references import Missing, Objects, Reference
from kubeedge_actors.wire.names import CONFIGMAP, SECRET

Json = dict[str, Any]
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


def expanded(text: str, env: Mapping[str, str]) -> str:
    """The text with `$(VAR)` replaced where VAR is known; `$$` is a dollar sign.

    >>> expanded("$(A)-$(B)-$$(A)", {"A": "1"})
    '1-$(B)-$(A)'
    """
    return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else env.get(found[1], found[0]), text)


def texts(found: Json, type: str) -> dict[str, str]:
    """The values of a config map or secret as text."""
    plain = {key: str(value) for key, value in (found.get("data") or {}).items()}
    if type == SECRET:
        return {key: _decoded(value).decode("utf-8", "surrogateescape") for key, value in plain.items()}
    return plain


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError as error:
        raise Missing(f"a secret's value is not base64: {error}") from error


def contents(found: Json, type: str) -> dict[str, bytes]:
    """The values of a config map or secret as bytes."""
    if type == SECRET:
        return {key: _decoded(str(value)) for key, value in (found.get("data") or {}).items()}
    plain = {key: str(value).encode() for key, value in (found.get("data") or {}).items()}
    return plain | {key: _decoded(str(value)) for key, value in (found.get("binaryData") or {}).items()}


def environment(pod: PodView, view: ContainerView, objects: Objects, around: Surroundings) -> dict[str, str]:
    """All variables of a container. Errors: Missing, as CreateContainerConfigError says it."""
    env: dict[str, str] = {}
    for each in view.raw.get("envFrom") or ():
        prefix = each.get("prefix") or ""
        for type, key in ((CONFIGMAP, "configMapRef"), (SECRET, "secretRef")):
            if each.get(key):
                found = _object(objects, type, each[key])
                env |= {f"{prefix}{name}": value for name, value in texts(found, type).items()}
    for each in view.raw.get("env") or ():
        value = _value(pod, view, each, objects, around, env)
        if value is not None:
            env[str(each["name"])] = value
    return env


def _object(objects: Objects, type: str, reference: Json) -> Json:
    found = objects.get(Reference(type, reference["name"]))
    if found is None:
        if reference.get("optional"):
            return {}
        raise Missing(f'{type} "{reference["name"]}" not found')
    return found


def _value(
    pod: PodView, view: ContainerView, each: Json, objects: Objects, around: Surroundings, env: dict[str, str]
) -> str | None:
    source = each.get("valueFrom")
    if not source:
        return expanded(str(each.get("value") or ""), env)
    if source.get("fieldRef"):
        return field(pod, source["fieldRef"].get("fieldPath", ""), around)
    if source.get("resourceFieldRef"):
        return resource(pod, view.name, source["resourceFieldRef"], around)
    for type, key, kind in ((CONFIGMAP, "configMapKeyRef", "ConfigMap"), (SECRET, "secretKeyRef", "Secret")):
        if source.get(key):
            return _of_key(pod, type, kind, source[key], objects)
    raise Missing(f"the source of the variable {each.get('name')} is not supported")


def _of_key(pod: PodView, type: str, kind: str, reference: Json, objects: Objects) -> str | None:
    values = texts(_object(objects, type, reference), type)
    key = reference.get("key", "")
    if key in values:
        return values[key]
    if reference.get("optional"):
        return None
    raise Missing(f"couldn't find key {key} in {kind} {pod.name.namespace}/{reference['name']}")
