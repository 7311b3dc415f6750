"""Content negotiation by the `Accept` header: which form of the answer the client wants."""

from __future__ import annotations

from ..errors import ApiError

OBJECT, TABLE, METADATA, METADATA_LIST = "", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"
DISCOVERY = "APIGroupDiscoveryList"
JSON_NAMES = frozenset({"application/json", "*/*", "application/*"})
SUPPORTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
FORMS = {
    TABLE: ("meta.k8s.io", ("v1", "v1beta1")),
    METADATA: ("meta.k8s.io", ("v1", "v1beta1")),
    METADATA_LIST: ("meta.k8s.io", ("v1", "v1beta1")),
    DISCOVERY: ("apidiscovery.k8s.io", ("v2", "v2beta1")),
}


def negotiate(accept: str, allowed: tuple[str, ...]) -> tuple[str, str]:
    """(form, version) of the first satisfiable entry: ("", "") is the plain object. Raises 406 when there is none."""
    if not accept.strip():
        return OBJECT, ""
    seen_json = False
    for entry in accept.split(","):
        media, *parameters = (part.strip() for part in entry.split(";"))
        if media not in JSON_NAMES:
            continue
        seen_json = True
        values = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        form = values.get("as", OBJECT)
        if form == OBJECT:
            return OBJECT, ""
        if form in allowed and is_served_version(form, values):
            return form, values.get("v", "")
    raise not_acceptable_error(seen_json)


def is_served_version(form: str, values: dict[str, str]) -> bool:
    """Whether group and version fit the form."""
    group, versions = FORMS[form]
    return values.get("g") == group and values.get("v") in versions


def not_acceptable_error(parameters: bool) -> ApiError:
    """406; `parameters` says that JSON was offered, but only in a form that does not exist."""
    if parameters:
        return ApiError(406, "NotAcceptable", f"only the following media types are accepted: {SUPPORTED}")
    text = f"406: Not Acceptable\n\nAvailable representations: {SUPPORTED}"
    return ApiError(406, "NotAcceptable", text, {})
