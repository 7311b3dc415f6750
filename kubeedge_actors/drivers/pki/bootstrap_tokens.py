"""Bootstrap tokens: `<sha256 hex of the CA's DER>.<JWT>`, the JWT signed (HS256) with the DER of the CA's key.

The texts of the refusals are those of the original's library (source: KubeEdge pkg/security/token/token.go and
golang-jwt v5).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Any

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.errors import CertificateError

HEADER = b'{"alg":"HS256","typ":"JWT"}'


def ca_hash(ca_der: bytes) -> str:
    """How a token names its CA."""
    return hashlib.sha256(ca_der).hexdigest()


class TokenClaims(msgspec.Struct, frozen=True):
    """What a token says of itself. `node`: the only one that it is for (empty: any); then `uses` is how often, by its `id`,
    and `issued_at` when it was made; epoch seconds, 0 for one that does not say.
    """

    expires_at: float
    node: str = ""
    uses: int = 0
    id: str = ""
    issued_at: float = 0.0


def make_token(ca_der: bytes, key_der: bytes, expires_at: float) -> str:
    """A whole token for any node that is good until `expires_at` (epoch seconds)."""
    return _signed_token(ca_der, key_der, {"exp": int(expires_at)})


def make_node_token(ca_der: bytes, key_der: bytes, claims: TokenClaims) -> str:
    """A whole token for one node; an id is chosen here. A genuine edgecore joins with it as with any other."""
    content: dict[str, Any] = {
        "exp": int(claims.expires_at),
        "node": claims.node,
        "uses": claims.uses,
        "jti": secrets.token_hex(16),
    }
    content["iat"] = claims.issued_at
    return _signed_token(ca_der, key_der, content)


def _signed_token(ca_der: bytes, key_der: bytes, claims: dict[str, Any]) -> str:
    signed = _encode(HEADER) + b"." + _encode(msgspec.json.encode(claims))
    return f"{ca_hash(ca_der)}.{(signed + b'.' + _encode(_mac(key_der, signed))).decode()}"


def split_token(token: str) -> tuple[str, str]:
    """The CA's hash and the JWT; `CertificateError` when it is not a bootstrap token."""
    expected, _, jwt = token.strip().partition(".")
    if len(expected) != 64 or jwt.count(".") != 2:
        raise CertificateError("the token is not a bootstrap token (64 hex digits, a dot and a JWT)")
    return expected.lower(), jwt


def check_jwt(jwt: str, key_der: bytes, now: float) -> TokenClaims:
    """What it says when it was signed with this key and has not expired; otherwise `CertificateError`."""
    parts = jwt.split(".")
    if len(parts) != 3:
        raise CertificateError("token is malformed: token contains an invalid number of segments")
    header, claims = _json(parts[0], "header"), _json(parts[1], "claims")
    if header.get("alg") != "HS256":
        raise CertificateError("token is unverifiable: error while executing keyfunc: unexpected signing method")
    signature = _decode(parts[2], "signature")
    if not hmac.compare_digest(signature, _mac(key_der, f"{parts[0]}.{parts[1]}".encode())):
        raise CertificateError("token signature is invalid: signature is invalid")
    _check_expiry(claims.get("exp"), now)
    node, uses, id = claims.get("node", ""), claims.get("uses", 0), claims.get("jti", "")
    if not (isinstance(node, str) and isinstance(uses, int) and isinstance(id, str)) or bool(node) != bool(id):
        raise CertificateError("token has invalid claims: node, uses and jti do not belong together")
    issued_at = claims.get("iat", 0.0)
    return TokenClaims(
        float(claims["exp"]), node, uses, id, float(issued_at) if isinstance(issued_at, int | float) else 0.0
    )


def expiry_of(jwt: str) -> float:
    """When a token that was checked ends, epoch seconds."""
    expires_at = _json(jwt.split(".")[1], "claims").get("exp")
    return float(expires_at) if isinstance(expires_at, int | float) else 0.0


def _check_expiry(expires_at: Any, now: float) -> None:
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float):
        raise CertificateError("token has invalid claims: exp claim is required")
    if now >= expires_at:
        raise CertificateError("token has invalid claims: token is expired")


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.new(key, signed, hashlib.sha256).digest()


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(part: str, part_name: str) -> bytes:
    try:
        return base64.b64decode(
            part.encode("ascii") + b"=" * (-len(part) % 4),
            altchars=b"-_",
            validate=True,
        )
    except (binascii.Error, ValueError) as error:
        raise CertificateError(f"token is malformed: could not base64 decode {part_name}: {error}") from error


def _json(part: str, part_name: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(depth_limit.check_depth(_decode(part, part_name)), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise CertificateError(f"token is malformed: could not JSON decode {part_name}: {error}") from error
