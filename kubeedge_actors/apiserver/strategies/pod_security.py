"""Validation of security contexts (Kubernetes: pkg/apis/core/validation, ValidateSecurityContext and its neighbours)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..errors import FieldError, Json, invalid_value, required, unsupported_value

MAX_ID: Final = 2**31 - 1
ID_TEXT = f"must be between 0 and {MAX_ID}, inclusive"
SECCOMP_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
FORBIDDEN_ESCALATION = "cannot set `allowPrivilegeEscalation` to false and "


def pod_errors(spec: Json, path: str) -> Iterator[FieldError]:
    """Complaints about the v1.PodSecurityContext of a pod's spec."""
    context = spec.get("securityContext") or {}
    path = f"{path}.securityContext"
    yield from _id_errors(context, path, "runAsUser", "runAsGroup", "fsGroup")
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        yield from _id_error(group, f"{path}.supplementalGroups[{index}]")
    yield from _seccomp_errors(context.get("seccompProfile"), f"{path}.seccompProfile")


def container_errors(container: Json, path: str) -> Iterator[FieldError]:
    """Complaints about the v1.SecurityContext of a container."""
    context = container.get("securityContext") or {}
    path = f"{path}.securityContext"
    yield from _id_errors(context, path, "runAsUser", "runAsGroup")
    yield from _seccomp_errors(context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            yield invalid_value(path, context, FORBIDDEN_ESCALATION + "`privileged` to true")
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            yield invalid_value(path, context, FORBIDDEN_ESCALATION + "`capabilities.Add` CAP_SYS_ADMIN")


def _id_errors(context: Json, path: str, *fields: str) -> Iterator[FieldError]:
    for field in fields:
        if context.get(field) is not None:
            yield from _id_error(context[field], f"{path}.{field}")


def _id_error(id: Any, path: str) -> Iterator[FieldError]:
    if not 0 <= id <= MAX_ID:
        yield invalid_value(path, id, ID_TEXT)


def _seccomp_errors(profile: Any, path: str) -> Iterator[FieldError]:
    if profile is None:
        return
    kind, file = profile.get("type"), profile.get("localhostProfile")
    if kind not in SECCOMP_TYPES:
        yield required(f"{path}.type") if not kind else unsupported_value(f"{path}.type", kind, SECCOMP_TYPES)
    if kind == "Localhost":
        if not file:
            yield required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")
        elif file.startswith("/") or ".." in file.split("/"):
            yield invalid_value(f"{path}.localhostProfile", file, "must be a relative path without '..'")
    elif file is not None:
        yield invalid_value(f"{path}.localhostProfile", file, "can only be set when seccomp type is Localhost")
