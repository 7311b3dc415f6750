"""Read the few facts that matter off a certificate without a cryptography library, which costs 16 MB of memory; and DER as PEM text.

Only DER that was verified by TLS or came from our own files is read here; whatever it is, the answer is facts or
`CertificateError`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

from kubeedge_actors.errors import CertificateError
from kubeedge_actors.kubernetes.certificates.info import CLIENT_AUTH, SERVER_AUTH, CertificateInfo, RequestInfo

CERTIFICATE, EC_KEY, REQUEST = "CERTIFICATE", "EC PRIVATE KEY", "CERTIFICATE REQUEST"
"""Labels of PEM blocks."""
SEQUENCE, UTC_TIME, OCTETS = 0x30, 0x17, 0x04
VERSION, EXTENSIONS = 0xA0, 0xA3
COMMON_NAME, ORGANIZATION = b"\x55\x04\x03", b"\x55\x04\x0a"
SUBJECT_KEY_ID, SUBJECT_ALT_NAMES, AUTHORITY_KEY_ID, EXTENDED_USAGES = (
    b"\x55\x1d\x0e",
    b"\x55\x1d\x11",
    b"\x55\x1d\x23",
    b"\x55\x1d\x25",
)
USAGES = {
    b"\x2b\x06\x01\x05\x05\x07\x03\x01": SERVER_AUTH,
    b"\x2b\x06\x01\x05\x05\x07\x03\x02": CLIENT_AUTH,
}
"""The object identifiers of the two extended usages (source: RFC 5280, 4.2.1.12)."""
DNS_NAME, IP_ADDRESS, ISSUER_KEY = 0x82, 0x87, 0x80

Element = tuple[int, bytes]


def parse_certificate(certificate: bytes) -> CertificateInfo:
    """The facts of a DER certificate; `CertificateError` when it is not one."""
    try:
        return _parse(certificate)
    except (ValueError, IndexError, StopIteration) as error:
        raise CertificateError("this is not a certificate") from error


def parse_request(request: bytes) -> RequestInfo:
    """Whom a DER certificate request (PKCS #10) is for; `CertificateError` when it is not one. Its signature is not looked at."""
    try:
        content = _only(request, SEQUENCE)
        _version, subject, *_rest = _elements(_only(content, SEQUENCE))
        attributes = list(_attributes(subject[1]))
    except (ValueError, IndexError, StopIteration) as error:
        raise CertificateError("this is not a certificate request") from error
    return RequestInfo(_texts(attributes, COMMON_NAME), _texts(attributes, ORGANIZATION))


def _parse(certificate: bytes) -> CertificateInfo:
    content = _only(certificate, SEQUENCE)
    fields = [field for field in _elements(_only(content, SEQUENCE)) if field[0] != VERSION]
    serial, _algorithm, _issuer, validity, subject, key, *rest = fields
    (before_tag, before), (after_tag, after) = _elements(validity[1])
    attributes = list(_attributes(subject[1]))
    extensions = dict(_extensions(rest))
    return CertificateInfo(
        common_name=next((text for oid, text in attributes if oid == COMMON_NAME), ""),
        organizations=_texts(attributes, ORGANIZATION),
        not_before=_time(before_tag, before),
        not_after=_time(after_tag, after),
        sans=tuple(_sans(extensions[SUBJECT_ALT_NAMES])) if SUBJECT_ALT_NAMES in extensions else (),
        key_id=_only(extensions[SUBJECT_KEY_ID], OCTETS) if SUBJECT_KEY_ID in extensions else _usual_key_id(key[1]),
        authority_key_id=_authority_key_id(extensions[AUTHORITY_KEY_ID]) if AUTHORITY_KEY_ID in extensions else b"",
        usages=tuple(_usages(extensions[EXTENDED_USAGES])) if EXTENDED_USAGES in extensions else (),
        serial=int.from_bytes(serial[1], "big"),
    )


def _elements(data: bytes) -> Iterator[Element]:
    """The elements that follow one another in `data`, as (tag, content)."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            octets = length & 0x7F
            length, at = int.from_bytes(data[at : at + octets], "big"), at + octets
        if at + length > len(data):
            raise ValueError("an element is longer than what holds it")
        yield tag, data[at : at + length]
        at += length


def _only(data: bytes, tag: int) -> bytes:
    """The content of the first element, which must have this tag."""
    actual_tag, content = next(_elements(data))
    if actual_tag != tag:
        raise ValueError(f"tag {actual_tag:#x} where {tag:#x} belongs")
    return content


def _attributes(name: bytes) -> Iterator[tuple[bytes, str]]:
    for _, relative in _elements(name):
        for _, attribute in _elements(relative):
            (_, oid), (_, text) = _elements(attribute)
            yield oid, text.decode("utf-8", "replace")


def _texts(attributes: list[tuple[bytes, str]], wanted: bytes) -> tuple[str, ...]:
    return tuple(text for oid, text in attributes if oid == wanted)


def _usages(extension: bytes) -> Iterator[int]:
    """Those of the two that a certificate names; others have no meaning here."""
    for _, oid in _elements(_only(extension, SEQUENCE)):
        if oid in USAGES:
            yield USAGES[oid]


def _time(tag: int, content: bytes) -> float:
    text = content.decode("ascii")
    if tag == UTC_TIME:  # two digits of the year; RFC 5280: 50 and later are of the 20th century
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    numbers = [int(text[at:end]) for at, end in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))]
    if text[14:] != "Z":
        raise ValueError("a time that is not UTC")
    return datetime(*numbers, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


def _extensions(fields: list[Element]) -> Iterator[tuple[bytes, bytes]]:
    for tag, content in fields:
        if tag != EXTENSIONS:
            continue
        for _, extension in _elements(_only(content, SEQUENCE)):
            (_, oid), *_critical, (_, value) = _elements(extension)
            yield oid, value


def _sans(extension: bytes) -> Iterator[str]:
    import ipaddress  # a node's certificate has no names: an edge never gets here

    for tag, content in _elements(_only(extension, SEQUENCE)):
        if tag == DNS_NAME:
            yield content.decode("ascii")
        elif tag == IP_ADDRESS:
            yield str(ipaddress.ip_address(content))


def _usual_key_id(key: bytes) -> bytes:
    """By what those who it signed for name a key that its own certificate does not name (RFC 5280, 4.2.1.2, method 1)."""
    _algorithm, (_, bits) = _elements(key)
    return hashlib.sha1(bits[1:], usedforsecurity=False).digest()


def _authority_key_id(extension: bytes) -> bytes:
    return dict(_elements(_only(extension, SEQUENCE))).get(ISSUER_KEY, b"")


# --- PEM text


def to_pem(der: bytes, label: str) -> str:
    """PEM text of DER bytes, 64 characters a line."""
    body = base64.b64encode(der).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def from_pem(text: str, label: str) -> bytes | None:
    """DER bytes of the first block with this label; None when there is none, or it is damaged."""
    _, begin, rest = text.partition(f"-----BEGIN {label}-----")
    body, end, _ = rest.partition(f"-----END {label}-----")
    if not begin or not end:
        return None
    try:
        return base64.b64decode("".join(body.split()), validate=True) or None
    except binascii.Error:
        return None
