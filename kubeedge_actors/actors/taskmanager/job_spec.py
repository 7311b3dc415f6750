"""What a job says that it wants, read with distrust: the cloud checks it before any node hears of it, the node again. Pure."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec

from kubeedge_actors.errors import KubeEdgeActorsError
from kubeedge_actors.wire import constants

Json = dict[str, Any]

CHECK_ITEMS: Final = ("cpu", "mem", "disk")
DEFAULT_TIMEOUT: Final = 300.0
"""Seconds that a node has for a task, if its job does not say how many."""
MAX_RETRIES, MAX_IMAGES, MAX_NAME = 100, 200, 512
IMAGE: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,128})?"
)
"""The reference of an image: [registry/]repository[:tag][@digest], and nothing that could be something else to anybody who reads it."""
VERSION: Final = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+(?:-[A-Za-z0-9_.]+(?:-[A-Za-z0-9_.]+)*)?")
NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
CONFIG_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:\[[0-9]+\])?(?:\.[A-Za-z][A-Za-z0-9]*(?:\[[0-9]+\])?)*")


class InvalidJob(KubeEdgeActorsError):
    """A job that can not be done as it stands; the text is a sentence about the field."""


class JobKey(NamedTuple):
    """Type and name of a job."""

    type: str
    name: str


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is common to the specs of all jobs. `timeout` in seconds; `tolerated`: the share of the nodes that may fail."""

    node_names: tuple[str, ...] = ()
    selector: Json | None = None
    check_items: tuple[str, ...] = ()
    concurrency: int = 1
    timeout: float = DEFAULT_TIMEOUT
    tolerated: float = 0.0
    images: tuple[str, ...] = ()
    secret: str = ""
    retries: int = 0
    needs_confirmation: bool = False


def read_spec(job_type: str, spec: Any) -> JobSpec:
    """The spec of a job of this type (`operations.kubeedge.io`). Error: InvalidJob."""
    if not isinstance(spec, dict):
        raise InvalidJob("spec is no object")
    if job_type == constants.IMAGEPREPULLJOB:
        template = spec.get("imagePrePullTemplate")
        return _pull(template if isinstance(template, dict) else {})
    if job_type == constants.NODEUPGRADEJOB:
        return _upgrade(spec)
    return _config(spec)


def _pull(template: Json) -> JobSpec:
    images = _texts(template, "images")
    if not images:
        raise InvalidJob("images names none")
    if len(images) > MAX_IMAGES:
        raise InvalidJob(f"images names {len(images)}; at most {MAX_IMAGES} can be pulled by one job")
    for image in images:
        _require(IMAGE, image, "images", "the name of an image")
    secret = _text(template, "imageSecrets")
    if secret:
        namespace, slash, name = secret.partition("/")
        if not (slash and NAME.fullmatch(namespace) and NAME.fullmatch(name) and len(secret) <= MAX_NAME):
            raise InvalidJob(f"imageSecrets has to be NAMESPACE/NAME, not {secret[:MAX_NAME]!r}")
    return _common(template, images=images, secret=secret, retries=_number(template, "retryTimes", 0, MAX_RETRIES))


def _upgrade(spec: Json) -> JobSpec:
    _require(VERSION, _text(spec, "version"), "version", "a version such as v1.22.0")
    if image := _text(spec, "image"):
        _require(IMAGE, image, "image", "the name of an image")
    return _common(spec, needs_confirmation=spec.get("requireConfirmation") is True)


def _config(spec: Json) -> JobSpec:
    fields = spec.get("updateFields")
    if not isinstance(fields, dict) or not fields:
        raise InvalidJob("updateFields names no field")
    for field, value in fields.items():
        _require(CONFIG_FIELD, str(field), "updateFields", "the path of a field")
        if not isinstance(value, str):
            raise InvalidJob(f"the value of {field} in updateFields has to be a text")
    return _common(spec)


def _common(spec: Json, **rest: Any) -> JobSpec:
    selector, names = spec.get("labelSelector"), _texts(spec, "nodeNames")
    if names and selector is not None:
        raise InvalidJob("nodeNames and labelSelector exclude each other")
    if not names and not isinstance(selector, dict):
        raise InvalidJob("neither nodeNames nor labelSelector says which nodes are meant")
    for name in names:
        _require(NAME, name, "nodeNames", "the name of a node")
    items = _texts(spec, "checkItems")
    if unknown := [item for item in items if item not in CHECK_ITEMS]:
        raise InvalidJob(f"checkItems can be {', '.join(CHECK_ITEMS)}, not {unknown[0][:MAX_NAME]!r}")
    return JobSpec(
        node_names=tuple(dict.fromkeys(names)),
        selector=selector,
        check_items=tuple(dict.fromkeys(items)),
        concurrency=_number(spec, "concurrency", 0, 1_000_000) or 1,
        timeout=float(_number(spec, "timeoutSeconds", 0, 2**32) or DEFAULT_TIMEOUT),
        tolerated=_share(_text(spec, "failureTolerate")),
        **rest,
    )


def _require(pattern: re.Pattern[str], value: str, field: str, description: str) -> None:
    if len(value) > MAX_NAME or not pattern.fullmatch(value):
        raise InvalidJob(f"{field}: {value[:MAX_NAME]!r} is not {description}")


def _text(spec: Json, field: str) -> str:
    value = spec.get(field, "")
    if not isinstance(value, str):
        raise InvalidJob(f"{field} has to be a text")
    return value


def _texts(spec: Json, field: str) -> tuple[str, ...]:
    value = spec.get(field) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidJob(f"{field} has to be a list of texts")
    return tuple(value)


def _number(spec: Json, field: str, low: int, high: int) -> int:
    value = spec.get(field) or 0
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidJob(f"{field} has to be a whole number from {low} to {high}")
    return value


def _share(text: str) -> float:
    if not text:
        return 0.0
    if not re.fullmatch(r"[0-9]{0,4}\.?[0-9]{1,9}", text) or float(text) > 1:
        raise InvalidJob(f"failureTolerate has to be a share of the nodes from 0 to 1, not {text[:MAX_NAME]!r}")
    return float(text)
