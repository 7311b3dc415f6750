"""A CustomResourceDefinition: its validation, its status, and the resources that it makes served."""

from __future__ import annotations

from collections.abc import Iterator

from kubeedge_actors.kubernetes.time import format_time

from ..errors import FieldError, Json, invalid_value, required
from ..registry.builtin import SCALE, STATUS, Resource
from ..strategies.strategy import ErrorList, Strategy
from .schema_validation import schema_errors
from .structural import StructuralSchema

KEY = "apiextensions.k8s.io/customresourcedefinitions"
VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


def default_definition(body: Json) -> None:
    """Names and conversion that follow from the rest."""
    spec = body.setdefault("spec", {})
    names = spec.setdefault("names", {})
    kind = names.get("kind", "")
    if kind:
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})


def prepare_definition(body: Json) -> None:
    """At creation: nothing is accepted yet."""
    storing = [
        version.get("name", "") for version in body.get("spec", {}).get("versions", ()) if version.get("storage")
    ]
    body["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": storing}


def definition_errors(body: Json) -> Iterator[FieldError]:
    """What is wrong with a definition."""
    spec = body["spec"]
    names, group = spec.get("names", {}), spec.get("group", "")
    for field in ("plural", "kind"):
        if not names.get(field):
            yield required(f"spec.names.{field}")
    if not group:
        yield required("spec.group")
    full_name = f"{names.get('plural', '')}.{group}"
    if body["metadata"].get("name") != full_name:
        name = body["metadata"].get("name", "")
        yield invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        yield required("spec.scope")
    versions = spec.get("versions", ())
    if sum(1 for version in versions if version.get("storage")) != 1:
        yield invalid_value("spec.versions", len(versions), "must have exactly one version marked as storage version")
    for index, version in enumerate(versions):
        if not version.get("name"):
            yield required(f"spec.versions[{index}].name")
        schema_path = f"spec.versions[{index}].schema.openAPIV3Schema"
        schema = version.get("schema", {}).get("openAPIV3Schema")
        if not schema:
            yield required(schema_path, "schemas are required")
        else:
            yield from schema_errors(schema, schema_path)


def validate_definition(body: Json) -> ErrorList:
    """Complaints about a definition."""
    return list(definition_errors(body))


def validate_definition_update(new: Json, old: Json) -> ErrorList:
    """Group, scope and kind stay."""
    fixed = (("group",), ("scope",), ("names", "kind"), ("names", "plural"))
    errors = []
    for path in fixed:
        new_value, old_value = new["spec"], old["spec"]
        for part in path:
            new_value, old_value = new_value.get(part, {}), old_value.get(part, {})
        if new_value != old_value:
            errors.append(invalid_value("spec." + ".".join(path), new_value, "field is immutable"))
    return errors


CRD_STRATEGY = Strategy(prepare_definition, default_definition, validate_definition, validate_definition_update)


def established_status(body: Json, now: float) -> Json:
    """The status of a definition that is served."""
    at = format_time(now)
    names = ("NamesAccepted", "NoConflicts", "no conflicts found")
    ready = ("Established", "InitialNamesAccepted", "the initial names have been accepted")
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": at, "reason": reason, "message": message}
        for kind, reason, message in (names, ready)
    ]
    return {
        "conditions": conditions,
        "acceptedNames": body["spec"]["names"],
        "storedVersions": [version["name"] for version in body["spec"]["versions"] if version.get("storage")],
    }


def served_resources(body: Json) -> tuple[Resource, ...]:
    """The resources of a definition, one for each served version; the stored version first."""
    spec = body["spec"]
    versions = [version for version in spec["versions"] if version.get("served")]
    versions.sort(key=lambda version: not version.get("storage"))
    return tuple(resource_of_version(spec, version) for version in versions)


def resource_of_version(spec: Json, version: Json) -> Resource:
    """The resource of one version."""
    names = spec["names"]
    subs = version.get("subresources", {})
    subresources = tuple(sub for sub in (SCALE, STATUS) if sub.name in subs)
    return Resource(
        spec["group"],
        version["name"],
        names["plural"],
        names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        singular=names.get("singular", ""),
        short=tuple(names.get("shortNames", ())),
        categories=tuple(names.get("categories", ())),
        subresources=subresources,
        verbs=VERBS,
        list_kind=names.get("listKind", ""),
    )


def version_schemas(body: Json) -> dict[tuple[str, str, str], StructuralSchema]:
    """The schema of each version, by group, version and plural."""
    spec = body["spec"]
    return {
        (spec["group"], version["name"], spec["names"]["plural"]): StructuralSchema(
            version["schema"]["openAPIV3Schema"]
        )
        for version in spec["versions"]
    }


def printer_columns(body: Json) -> dict[tuple[str, str, str], list[Json]]:
    """The additional printer columns of each version, by group, version and plural."""
    spec = body["spec"]
    return {
        (spec["group"], version["name"], spec["names"]["plural"]): version["additionalPrinterColumns"]
        for version in spec["versions"]
        if version.get("additionalPrinterColumns")
    }
