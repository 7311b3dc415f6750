"""API errors (apimachinery: api/errors): `Status` objects, and the exceptions that become them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Json = dict[str, Any]


class FieldError(msgspec.Struct, frozen=True):
    """One complaint about one field of an object: `reason` is Kubernetes' cause word, `message` what follows the field."""

    field: str
    reason: str
    message: str


class ApiError(Exception):
    """The request is answered with a failure Status; `code` is the HTTP status."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details, self.headers = details, dict(headers or {})

    def body(self) -> Json:
        """The Status object."""
        status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


class PlainNotFound(Exception):
    """The path belongs to no API at all: answered as text, not as a Status."""


def success_status(details: Json | None = None, code: int = 0) -> Json:
    """A success Status; `code` is left out when 0."""
    status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details is not None:
        status["details"] = details
    if code:
        status["code"] = code
    return status


def details_of(group: str, kind: str, name: str = "") -> Json:
    """`details` of a Status; empty parts are left out."""
    details = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in details.items() if value}


def qualified_resource(group: str, plural: str) -> str:
    """The resource as messages name it: `pods`, `deployments.apps`."""
    return f"{plural}.{group}" if group else plural


def required(field: str, note: str = "") -> FieldError:
    """A field that must be there is missing."""
    return FieldError(field, "FieldValueRequired", f"Required value{': ' + note if note else ''}")


def invalid_value(field: str, value: object, reason: str) -> FieldError:
    """A field has a value that is not allowed."""
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {quoted(value)}: {reason}")


def unsupported_value(field: str, value: object, allowed: Sequence[str]) -> FieldError:
    """A field has a value that is not one of the few allowed."""
    choices = ", ".join(f'"{choice}"' for choice in allowed)
    return FieldError(
        field, "FieldValueNotSupported", f"Unsupported value: {quoted(value)}: supported values: {choices}"
    )


def forbidden_field(field: str, reason: str) -> FieldError:
    """A field may not be given, or not be changed."""
    return FieldError(field, "FieldValueForbidden", f"Forbidden: {reason}")


def quoted(value: object) -> str:
    """A value as messages print it: JSON."""
    return msgspec.json.encode(value).decode()


def not_found(group: str, plural: str, name: str) -> ApiError:
    """404 of a named object."""
    return ApiError(
        404, "NotFound", f'{qualified_resource(group, plural)} "{name}" not found', details_of(group, plural, name)
    )


def no_such_resource() -> ApiError:
    """404 of a resource or version that is not served."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> ApiError:
    """405."""
    text = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", text, {})


def already_exists(group: str, plural: str, name: str) -> ApiError:
    """409 of a create."""
    text = f'{qualified_resource(group, plural)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, details_of(group, plural, name))


def conflict(group: str, kind: str, name: str, reason: str) -> ApiError:
    """409 of a write whose precondition does not hold; `kind` is the plural, or the Kind for delete preconditions."""
    text = f'Operation cannot be fulfilled on {qualified_resource(group, kind)} "{name}": {reason}'
    return ApiError(409, "Conflict", text, details_of(group, kind, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def forbidden(group: str, plural: str, name: str, reason: str, causes: Sequence[FieldError] = ()) -> ApiError:
    """403 of a named resource, or of the resource as a whole when `name` is empty."""
    subject = f'{qualified_resource(group, plural)} "{name}"' if name else qualified_resource(group, plural)
    details = details_of(group, plural, name)
    if causes:
        details["causes"] = causes_of(causes)
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {reason}", details)


def causes_of(errors: Sequence[FieldError]) -> list[Json]:
    """`details.causes`."""
    return [{"reason": error.reason, "message": error.message, "field": error.field} for error in errors]


def invalid(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> ApiError:
    """422 with every complaint."""
    texts = [f"{error.field}: {error.message}" for error in errors]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = details_of(group, kind, name) | {"causes": causes_of(errors)}
    return ApiError(422, "Invalid", f'{qualified_resource(group, kind)} "{name}" is invalid: {listed}', details)


def invalid_options(kind: str, *errors: FieldError) -> ApiError:
    """422 about query parameters or delete options."""
    return invalid("meta.k8s.io", kind, "", errors)


def too_large_version(requested: int, current: int) -> ApiError:
    """504 of a resourceVersion that the server has not reached."""
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    text = f"Timeout: Too large resource version: {requested}, current: {current}"
    return ApiError(504, "Timeout", text, details, {"Retry-After": "1"})


def expired(message: str) -> ApiError:
    """410: the version asked for is older than what is remembered."""
    return ApiError(410, "Expired", message)
