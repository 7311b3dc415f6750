"""GET and LIST: versions, selectors, pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec

from kubeedge_actors import depth_limit

from ..codec.response_encoder import MANY, ONE, ResponseEncoders
from ..errors import (
    FieldError,
    bad_request,
    expired,
    forbidden_field,
    invalid_options,
    not_found,
    too_large_version,
    unsupported_value,
)
from ..http_messages import Request, Response
from ..registry.builtin import Resource
from ..registry.selectors import Selection, parse_field_selector, parse_label_selector
from ..request_info import RequestInfo
from ..storage.collection import Collection
from ..storage.entry import Entry
from ..storage.store import Store

EVERYWHERE = ("metadata.name", "metadata.namespace")
TOO_OLD = "The resourceVersion for the provided list is too old."
TOKEN_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter."
)


class ContinueToken(msgspec.Struct, frozen=True):
    """Position of a paged list: the revision of its first page, and the last object sent."""

    rv: int
    namespace: str
    name: str


class Reader:
    """Answers get and list."""

    def __init__(self, store: Store, renderings: ResponseEncoders) -> None:
        self._store, self._renderings = store, renderings

    def get(self, request: Request, target: RequestInfo, resource: Resource) -> Response:
        """One object."""
        rendering = self._renderings.negotiate(request, resource, ONE)
        version = parse_resource_version(request.query.get("resourceVersion", ""))
        if version > self._store.revision:
            raise too_large_version(version, self._store.revision)
        return Response(rendering.encode_object(self.entry(target, resource)))

    def entry(self, target: RequestInfo, resource: Resource) -> Entry:
        """The object of a path. Raises 404."""
        return get_or_404(self._store, target, resource)

    def list(self, request: Request, target: RequestInfo, resource: Resource) -> Response:
        """A list, or a page of one."""
        rendering = self._renderings.negotiate(request, resource, MANY)
        chosen = parse_selection(request, target, resource)
        validate_list_options(request)
        collection = self._store.collection(resource.key)
        limit = page_limit(request)
        page = decode_continue(request)
        revision = page.rv if page else self._revision(request)
        entries = matching_entries(
            snapshot(collection, revision, self._store.revision, chosen, page is not None), chosen
        )
        if page is not None:
            entries = [entry for entry in entries if (entry.namespace, entry.name) > (page.namespace, page.name)]
        meta: dict[str, object] = {"resourceVersion": str(revision)}
        if 0 < limit < len(entries):
            last = entries[limit - 1]
            meta["continue"] = encode_continue(ContinueToken(revision, last.namespace, last.name))
            if not chosen.has_selectors:
                meta["remainingItemCount"] = len(entries) - limit
            entries = entries[:limit]
        return Response(rendering.encode_list(entries, meta))

    def _revision(self, request: Request) -> int:
        current = self._store.revision
        version = parse_resource_version(request.query.get("resourceVersion", ""))
        if version > current:
            raise too_large_version(version, current)
        return version if request.query.get("resourceVersionMatch") == "Exact" else current


def parse_selection(request: Request, target: RequestInfo, resource: Resource) -> Selection:
    """What a list, watch or collection delete is about. Raises 400 on bad selectors."""
    allowed = (*EVERYWHERE, *(field.label for field in resource.fields))
    terms = parse_field_selector(request.query.get("fieldSelector", ""), allowed, bool(resource.fields))
    namespace = target.namespace if resource.namespaced and target.namespace else None
    return Selection(namespace, parse_label_selector(request.query.get("labelSelector", "")), terms)


def snapshot(collection: Collection, revision: int, current: int, chosen: Selection, paging: bool) -> Sequence[Entry]:
    """The entries at a revision. Raises 410 when it is forgotten."""
    if revision == current:
        return collection.scan(chosen.namespace)
    past = collection.state_at(revision, chosen.namespace)
    if past is None:
        raise expired(TOKEN_TOO_OLD if paging else TOO_OLD)
    return past


def matching_entries(entries: Sequence[Entry], chosen: Selection) -> Sequence[Entry]:
    """The entries that fit."""
    return [entry for entry in entries if chosen.fits(entry)] if chosen.has_selectors else entries


def parse_resource_version(text: str) -> int:
    """A resourceVersion; 0 when there is none. Raises 400."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise bad_request(f"invalid resource version: {invalid_version_text(text)}")
    return int(text)


def invalid_version_text(text: str) -> str:
    """The error text for a resourceVersion that is no number."""
    return f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'


def validate_list_options(request: Request) -> None:
    """Refuses combinations of list options that make no sense, with 422."""
    match, version = request.query.get("resourceVersionMatch", ""), request.query.get("resourceVersion", "")
    errors: list[FieldError] = []
    if match and not version:
        text = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        errors.append(forbidden_field("resourceVersionMatch", text))
    elif match and match not in ("Exact", "NotOlderThan"):
        errors.append(unsupported_value("resourceVersionMatch", match, ("Exact", "NotOlderThan", "")))
    elif match == "Exact" and version == "0":
        text = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        errors.append(forbidden_field("resourceVersionMatch", text))
    if "sendInitialEvents" in request.query:
        errors.append(forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if errors:
        raise invalid_options("ListOptions", *errors)


def page_limit(request: Request) -> int:
    """The size of a page; 0 is no limit. A list at resourceVersion 0 is answered in full."""
    text = request.query.get("limit", "")
    if request.query.get("resourceVersion") == "0" and not request.query.get("continue"):
        return 0
    if not text:
        return 0
    if not text.isdigit():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def encode_continue(page: ContinueToken) -> str:
    """The continue token of a page."""
    return base64.urlsafe_b64encode(msgspec.json.encode(page)).decode().rstrip("=")


def decode_continue(request: Request) -> ContinueToken | None:
    """The page that a continue token asks for. Raises 400."""
    token = request.query.get("continue", "")
    if not token:
        return None
    if request.query.get("resourceVersion", "") not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return msgspec.json.decode(depth_limit.check_depth(data), type=ContinueToken)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error


def get_or_404(store: Store, target: RequestInfo, resource: Resource) -> Entry:
    """The object of a path. Raises 404."""
    entry = store.get(resource.key, target.namespace, target.name)
    if entry is None:
        raise not_found(resource.group, resource.plural, target.name)
    return entry
