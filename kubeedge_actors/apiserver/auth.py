"""Authentication and authorization: administrators may do everything, everybody else nearly nothing, nodes by `node_authorizer.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..osutil.sockets import is_cross_site
from .errors import ApiError, Json, details_of

MASTERS, AUTHENTICATED, UNAUTHENTICATED = "system:masters", "system:authenticated", "system:unauthenticated"
OPEN_PATHS = frozenset({"/version", "/healthz", "/livez", "/readyz"})
KNOWN_PATHS = ("/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz")
REVIEWS = frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"})
NODES = "system:nodes"


class User(msgspec.Struct, frozen=True):
    """An identity: `name` and `groups` as in Kubernetes; `fingerprint` is the SHA-256 of the certificate, if any.

    `vouched`: an administrator speaks in this name.
    """

    name: str
    groups: tuple[str, ...] = ()
    fingerprint: str = ""
    vouched: bool = False

    @property
    def is_administrator(self) -> bool:
        """Whether everything is allowed."""
        return MASTERS in self.groups

    @property
    def is_anonymous(self) -> bool:
        """Whether no credential was given."""
        return UNAUTHENTICATED in self.groups

    def user_info(self) -> Json:
        """`userInfo` of a review."""
        info: Json = {"username": self.name, "groups": list(self.groups)}
        if self.fingerprint:
            info["extra"] = {"authentication.kubernetes.io/credential-id": [f"X509SHA256={self.fingerprint}"]}
        return info


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))
LOCAL_ADMIN = User("admin", (MASTERS, AUTHENTICATED))


def user_from_certificate(certificate: Mapping[str, Any], fingerprint: str) -> User | None:
    """The user of a verified client certificate (as `getpeercert` gives it): CN is the name, each O a group."""
    pairs = [pair for relative in certificate.get("subject", ()) for pair in relative]
    names = [value for key, value in pairs if key == "commonName"]
    groups = [value for key, value in pairs if key == "organizationName"]
    return User(names[0], (*groups, AUTHENTICATED), fingerprint) if names else None


def authenticate(
    headers: Mapping[str, str], certificate: User | None, tokens: Mapping[str, User], local_admin: bool
) -> User:
    """The user of a request. `local_admin`: plain HTTP on loopback, where whoever comes is an administrator. Raises 401."""
    if local_admin and is_cross_site(headers.get("host", ""), headers.get("origin", "")):
        raise ApiError(403, "Forbidden", "plain HTTP is served to programs of this machine, not to web pages", {})
    user = certificate or (LOCAL_ADMIN if local_admin else ANONYMOUS)
    authorization = headers.get("authorization", "")
    if authorization.lower().startswith("bearer ") and certificate is None:
        token_user = tokens.get(authorization[7:].strip())
        if token_user is not None:
            user = User(token_user.name, tuple(dict.fromkeys((*token_user.groups, AUTHENTICATED))))
        elif not local_admin:
            raise ApiError(401, "Unauthorized", "Unauthorized")
    return impersonated_user(user, headers)


def impersonated_user(user: User, headers: Mapping[str, str]) -> User:
    """Whom an administrator wants to be taken for."""
    name = headers.get("impersonate-user")
    if not name or not user.is_administrator:
        return user
    groups = [group for group in headers.get("impersonate-group", "").split(",") if group]
    return User(name, (*groups, AUTHENTICATED), vouched=True)


def is_path_allowed(user: User, path: str) -> bool:
    """Whether a path that is no resource may be read."""
    if user.is_administrator or path.rstrip("/") in OPEN_PATHS:
        return True
    return not user.is_anonymous and any(path == prefix or path.startswith(prefix + "/") for prefix in KNOWN_PATHS)


def is_resource_allowed(user: User, plural: str) -> bool:
    """Whether a resource may be used; of a node that an administrator speaks for `node_authorizer.py` knows more."""
    if user.is_administrator:
        return True
    return not user.is_anonymous and plural in REVIEWS


def path_forbidden_error(user: User, verb: str, path: str) -> ApiError:
    """403 of a path that is no resource."""
    return ApiError(403, "Forbidden", f'forbidden: User "{user.name}" cannot {verb} path "{path}"', {})


def resource_forbidden_error(
    user: User, verb: str, group: str, plural: str, name: str, namespace: str, reason: str = ""
) -> ApiError:
    """403 of a resource; `plural` may carry a subresource, and the authorizer may have a reason."""
    subject = f"{plural}.{group}" if group else plural
    if name:
        subject += f' "{name}"'
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    text = (
        f'{subject} is forbidden: User "{user.name}" cannot {verb} resource "{plural}" in API group "{group}" {scope}'
    )
    text += f": {reason}" if reason else ""
    return ApiError(403, "Forbidden", text, details_of(group, plural.partition("/")[0], name))
