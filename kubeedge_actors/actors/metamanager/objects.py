"""Kubernetes objects as rows: their text, their identity, their place in the read API. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kubeedge_actors.drivers.store.base import MetaRow, ObjectRow
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import Json

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_IRREGULAR = ("endpoints",)


def text_of(content: Any) -> str:
    """What is stored for a content: a JSON string without its quotes, everything else as JSON.

    >>> text_of({"a": 1}), text_of("raw")
    ('{"a":1}', 'raw')
    """
    raw = (
        content if isinstance(content, str) else getattr(content, "text", None)
    )  # an object that came as text keeps it
    return raw if isinstance(raw, str) else _encode(content).decode()


def object_of(row: MetaRow) -> Json | None:
    """The object in a row; None when there is none, or only the error that stood in for it."""
    try:
        value = _decode(row.value)
    except msgspec.MsgspecError:
        return None
    return value if isinstance(value, dict) and not is_error(value) else None


def objects_of(rows: list[MetaRow]) -> Iterator[Json]:
    """The objects in rows."""
    return (found for row in rows if (found := object_of(row)) is not None)


def is_error(content: Any) -> bool:
    """Whether a content is the error that a cloud answers in place of an object."""
    return isinstance(content, dict) and content.keys() == {names.ERR_STATUS}


def uid_of(content: Json) -> str:
    """The uid of an object, or empty."""
    return str(_metadata(content).get("uid") or "")


def version_of(content: Json, given: str = "") -> int | None:
    """The resource version of an object, the one `given` first; None when there is none."""
    text = str(given or _metadata(content).get("resourceVersion") or "")
    return int(text) if text.isascii() and text.isdecimal() else None


def _metadata(content: Json) -> Json:
    found = content.get("metadata")
    return found if isinstance(found, dict) else {}


def object_row(content: Json, text: str) -> ObjectRow | None:
    """The row of an object for the read API; None for one that does not say what it is."""
    api, kind, metadata = content.get("apiVersion"), content.get("kind"), _metadata(content)
    name = metadata.get("name")
    if not (isinstance(api, str) and isinstance(kind, str) and isinstance(name, str) and api and kind and name):
        return None
    group, _, version = api.rpartition("/")
    namespace = str(metadata.get("namespace") or names.CLUSTER_SCOPE)
    many = plural(kind)
    return ObjectRow(
        key=f"/{group or 'core'}/{version}/{many}/{namespace}/{name}",
        group_version_resource=f"{group}/{version}, Resource={many}",
        namespace=namespace,
        name=name,
        resource_version=version_of(content) or 0,
        value=text,
    )


def plural(kind: str) -> str:
    """The resource of a kind, as Kubernetes guesses it (source: apimachinery, UnsafeGuessKindToResource).

    >>> [plural(kind) for kind in ("Pod", "Endpoints", "Ingress", "NetworkPolicy")]
    ['pods', 'endpoints', 'ingresses', 'networkpolicies']
    """
    one = kind.lower()
    if one.endswith(_IRREGULAR):
        return one
    if one.endswith("s"):
        return one + "es"
    return one[:-1] + "ies" if one.endswith("y") else one + "s"
