"""Validation of names, labels and annotations (apimachinery: api/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..errors import FieldError, Json, invalid_value, required

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
LABEL_RE, SUBDOMAIN_RE = re.compile(LABEL), re.compile(SUBDOMAIN)
QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
QUALIFIED_RE = re.compile(QUALIFIED)
VALUE_RE = re.compile(rf"({QUALIFIED})?")
SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{SUBDOMAIN}')"
)
LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
)
VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'({QUALIFIED})?')"
)
KEY_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    f"'{QUALIFIED}')"
)
OWNER_PARTS = ("apiVersion", "kind", "name", "uid")
TOO_LONG = "must be no more than {} characters"


def subdomain_errors(field: str, value: str) -> Iterator[FieldError]:
    """Complaints about a DNS subdomain, as most names are."""
    return _limited(field, value, 253, SUBDOMAIN_RE, SUBDOMAIN_TEXT)


def dns_label_errors(field: str, value: str) -> Iterator[FieldError]:
    """Complaints about a DNS label, as names of containers and namespaces are."""
    return _limited(field, value, 63, LABEL_RE, LABEL_TEXT)


def _limited(field: str, value: str, longest: int, pattern: re.Pattern[str], text: str) -> Iterator[FieldError]:
    if len(value) > longest:
        yield invalid_value(field, value, TOO_LONG.format(longest))
    elif not pattern.fullmatch(value):
        yield invalid_value(field, value, text)


def label_key_errors(field: str, key: str) -> Iterator[FieldError]:
    """Complaints about the key of a label or annotation."""
    prefix, slash, name = key.rpartition("/")
    if slash and not SUBDOMAIN_RE.fullmatch(prefix):
        yield invalid_value(field, key, f"prefix part {SUBDOMAIN_TEXT}")
    if not name:
        yield invalid_value(field, key, "name part must be non-empty")
    elif len(name) > 63:
        yield invalid_value(field, key, "name part " + TOO_LONG.format(63))
    elif not QUALIFIED_RE.fullmatch(name):
        yield invalid_value(field, key, KEY_TEXT)


def label_errors(field: str, labels: Json) -> Iterator[FieldError]:
    """Complaints about a map of labels."""
    for key, value in labels.items():
        yield from label_key_errors(field, key)
        yield from _limited(field, value, 63, VALUE_RE, VALUE_TEXT)


def metadata_errors(meta: Json, short_name: bool) -> Iterator[FieldError]:
    """Complaints about name, labels, annotations and finalizers. `short_name`: the name is one DNS label."""
    name = meta.get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    else:
        yield from (dns_label_errors if short_name else subdomain_errors)("metadata.name", name)
    if labels := meta.get("labels"):
        yield from label_errors("metadata.labels", labels)
    for key in meta.get("annotations", ()):
        yield from label_key_errors("metadata.annotations", key.lower())
    for finalizer in meta.get("finalizers", ()):
        yield from label_key_errors("metadata.finalizers", finalizer)
    for index, owner in enumerate(meta.get("ownerReferences", ())):
        missing = [part for part in OWNER_PARTS if not owner.get(part)]
        yield from (required(f"metadata.ownerReferences[{index}].{part}") for part in missing)
