"""Encoder of responses: from stored objects to bytes, in the form that the client chose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ..errors import Json, bad_request
from ..http_messages import Request
from ..printers.columns import TablePrinter
from ..registry.builtin import Resource
from ..storage.entry import Entry
from .negotiation import METADATA, METADATA_LIST, OBJECT, TABLE, negotiate

FormOf = Callable[[Resource], TablePrinter]
ONE = (TABLE, METADATA)
MANY = (TABLE, METADATA_LIST)
EVENT_HEADS = {kind: b'{"type":"' + kind.encode() + b'","object":' for kind in ("ADDED", "MODIFIED", "DELETED")}


class PartialObject(msgspec.Struct):
    """The part of an object that PartialObjectMetadata shows."""

    metadata: msgspec.Raw


class ResponseEncoder(msgspec.Struct):
    """One client's choice for one resource. `include` is what table rows carry: Metadata, Object or None."""

    resource: Resource
    form: str
    version: str
    table: TablePrinter
    include: str
    converted: bool
    clock: Callable[[], float]

    def encode_versioned(self, entry: Entry) -> bytes:
        """The object in the version that was asked for."""
        if not self.converted:
            return entry.data
        return msgspec.json.encode({**entry.object(), "apiVersion": self.resource.api_version})

    def encode_object(self, entry: Entry) -> bytes:
        """One object."""
        if self.form == TABLE:
            return self.encode_table([entry], {"resourceVersion": str(entry.revision)})
        return self.encode_partial_metadata(entry) if self.form == METADATA else self.encode_versioned(entry)

    def encode_list(self, entries: Sequence[Entry], meta: Json) -> bytes:
        """A list."""
        if self.form == TABLE:
            return self.encode_table(entries, meta)
        slim = self.form == METADATA_LIST
        kind = "PartialObjectMetadataList" if slim else self.resource.plural_kind
        version = "meta.k8s.io/v1" if slim else self.resource.api_version
        head = msgspec.json.encode({"kind": kind, "apiVersion": version, "metadata": meta})[:-1]
        render = self.encode_partial_metadata if slim else self.encode_versioned
        return b'%s,"items":[%s]}' % (head, b",".join([render(entry) for entry in entries]))

    def encode_partial_metadata(self, entry: Entry) -> bytes:
        """PartialObjectMetadata of one object."""
        meta = bytes(msgspec.json.decode(entry.data, type=PartialObject).metadata)
        return b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":%s}' % meta

    def encode_table(self, entries: Sequence[Entry], meta: Json, columns: bool = True) -> bytes:
        """A table."""
        now = self.clock()
        head = {"kind": "Table", "apiVersion": f"meta.k8s.io/{self.version}", "metadata": meta}
        defined = msgspec.json.encode({**head, "columnDefinitions": self.table.columns if columns else None})[:-1]
        return b'%s,"rows":[%s]}' % (defined, b",".join([self.encode_row(entry, now) for entry in entries]))

    def encode_row(self, entry: Entry, now: float) -> bytes:
        """One row of a table."""
        cells = msgspec.json.encode(self.table.cells(entry.object(), now))
        if self.include == "None":
            return b'{"cells":%s,"object":null}' % cells
        shown = self.encode_versioned(entry) if self.include == "Object" else self.encode_partial_metadata(entry)
        return b'{"cells":%s,"object":%s}' % (cells, shown)

    def encode_event(self, kind: str, entry: Entry, first: bool) -> bytes:
        """One line of a watch; `first` says that it is the first of its stream."""
        if self.form == TABLE:
            content = self.encode_table([entry], {"resourceVersion": str(entry.revision)}, columns=first)
        else:
            content = (
                self.encode_partial_metadata(entry)
                if self.form in (METADATA, METADATA_LIST)
                else self.encode_versioned(entry)
            )
        return EVENT_HEADS[kind] + content + b"}\n"

    def encode_bookmark(self, revision: int, initial: bool, first: bool) -> bytes:
        """A bookmark; `initial` says that it ends the initial events."""
        meta: Json = {"resourceVersion": str(revision)}
        if initial:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        kind, version = self.resource.kind, self.resource.api_version
        if self.form in (METADATA, METADATA_LIST, TABLE):
            kind, version = "PartialObjectMetadata", "meta.k8s.io/v1"
        content: Json = {"kind": kind, "apiVersion": version, "metadata": meta}
        if self.form == TABLE:
            row = {"cells": [""] * len(self.table.columns), "object": content}
            defined = self.table.columns if first else None
            head = {"kind": "Table", "apiVersion": f"meta.k8s.io/{self.version}"}
            content = {
                **head,
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": defined,
                "rows": [row],
            }
        return msgspec.json.encode({"type": "BOOKMARK", "object": content}) + b"\n"


class ResponseEncoders:
    """Makes a ResponseEncoder for a request."""

    def __init__(self, form_of: FormOf, converted: Callable[[Resource], bool], clock: Callable[[], float]) -> None:
        self._form_of, self._converted, self._clock = form_of, converted, clock

    def negotiate(self, request: Request, resource: Resource, forms: tuple[str, ...]) -> ResponseEncoder:
        """The rendering that the client asks for. Raises 406."""
        form, version = negotiate(request.headers.get("accept", ""), forms)
        include = request.query.get("includeObject") or "Metadata"
        if include not in ("None", "Metadata", "Object"):
            raise bad_request(f'unrecognized includeObject value: "{include}"')
        table = self._form_of(resource)
        return ResponseEncoder(resource, form, version, table, include, self._converted(resource), self._clock)

    def plain_encoder(self, resource: Resource) -> ResponseEncoder:
        """The rendering of plain objects."""
        table, converted = self._form_of(resource), self._converted(resource)
        return ResponseEncoder(resource, OBJECT, "", table, "Metadata", converted, self._clock)
