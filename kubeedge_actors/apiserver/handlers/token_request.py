"""TokenRequest of service accounts: tokens are made on request, known to nobody else, and not taken as credentials
here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

import msgspec

from kubeedge_actors.kubernetes.time import format_time

from ..codec.decoder import ObjectDecoder
from ..errors import Json, invalid, invalid_value
from ..http_messages import Request, Response, json_response
from ..node_admission import NodeAdmission
from ..registry.builtin import Resource
from ..storage.entry import Entry

AUDIENCE = "https://kubernetes.default.svc.cluster.local"
MIN_SECONDS, DEFAULT_SECONDS, MAX_SECONDS = 600, 3600, 1 << 32
REQUEST = Resource("authentication.k8s.io", "v1", "tokenrequests", "TokenRequest", type="TokenRequest")


class TokenRequestHandler:
    """Answers POST to `serviceaccounts/<name>/token`. The key lives as long as the server."""

    def __init__(self, intake: ObjectDecoder, admission: NodeAdmission, clock: Callable[[], float] = time.time) -> None:
        self._intake, self._admission, self._clock = intake, admission, clock
        self._key = secrets.token_bytes(32)

    def create(self, request: Request, resource: Resource, account: Entry) -> Response:
        """A TokenRequest with its token. Raises 422 for a life that is too short."""
        body = self._intake.prune(self._intake.decode(request, REQUEST), REQUEST).body
        self._admission.token(request.user, resource, account, body)
        spec = body.get("spec", {})
        seconds = spec.get("expirationSeconds") or DEFAULT_SECONDS
        if not MIN_SECONDS <= seconds <= MAX_SECONDS:
            complaint = invalid_value(
                "spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"
            )
            raise invalid("authentication.k8s.io", "TokenRequest", "", [complaint])
        now = int(self._clock())
        audiences = spec.get("audiences") or [AUDIENCE]
        claims = {"aud": audiences, "iat": now, "nbf": now, "exp": now + seconds, "sub": service_account_user(account)}
        spec = {**spec, "audiences": audiences, "expirationSeconds": seconds}
        status = {"token": self._signed(claims), "expirationTimestamp": format_time(now + seconds)}
        head = {"kind": REQUEST.kind, "apiVersion": REQUEST.api_version}
        meta = {"name": account.name, "namespace": account.namespace, "creationTimestamp": format_time(now)}
        return json_response({**head, "metadata": meta, "spec": spec, "status": status}, 201)

    def _signed(self, claims: Json) -> str:
        """A JSON web token, HS256."""
        parts = [jwt_part({"alg": "HS256", "typ": "JWT"}), jwt_part(claims)]
        signature = hmac.new(self._key, ".".join(parts).encode(), hashlib.sha256).digest()
        return ".".join([*parts, base64url(signature)])


def service_account_user(account: Entry) -> str:
    """The user that a service account is."""
    return f"system:serviceaccount:{account.namespace}:{account.name}"


def jwt_part(content: Json) -> str:
    """One part of a JSON web token."""
    return base64url(msgspec.json.encode(content))


def base64url(data: bytes) -> str:
    """URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
