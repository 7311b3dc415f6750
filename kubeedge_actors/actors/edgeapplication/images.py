"""Names of images, and what an imageOverrider makes of one (KubeEdge: overridemanager/imageparser). Pure.

Source: github.com/distribution/reference, regexp.go.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_HOST_PART = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_PART = "[a-z0-9]+(?:(?:[.]|_{1,2}|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?:(?P<registry>{_REGISTRY})/)?(?P<repository>{_PATH_PART}(?:/{_PATH_PART})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
)
REGISTRY, REPOSITORY, TAG = "Registry", "Repository", "Tag"
ADD, REMOVE, REPLACE = "add", "remove", "replace"


class OverriderError(ValueError):
    """Why an overrider can not be applied, in a sentence."""


class Image(NamedTuple):
    """The parts of an image's name; empty where there is none.

    >>> Image.of("quay.io:443/a/b:v1")
    Image(registry='quay.io:443', repository='a/b', tag='v1', digest='')
    >>> Image.of("library/nginx").registry
    ''
    """

    registry: str
    repository: str
    tag: str
    digest: str

    @classmethod
    def of(cls, text: object) -> Image:
        """The parts of a name. Error: OverriderError."""
        found = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise OverriderError(f"{text!r} is not the name of an image")
        registry, repository = found["registry"] or "", found["repository"]
        if registry and registry != "localhost" and not set(registry) & set(".:["):
            registry, repository = "", f"{registry}/{repository}"
        return cls(registry, repository, found["tag"] or "", found["digest"] or "")

    def __str__(self) -> str:
        registry = f"{self.registry}/" if self.registry else ""
        tag, digest = f":{self.tag}" if self.tag else "", f"@{self.digest}" if self.digest else ""
        return f"{registry}{self.repository}{tag}{digest}"


def override_image(image: object, component: object, operator: object, value: str) -> str:
    """The name with one component changed: `add` appends to it, `replace` puts the value in its place, `remove` drops it; a tag and a digest
    are one component. Error: OverriderError, also for what would be no name.

    >>> override_image("nginx:1.25", "Registry", "replace", "mirror.example:5000")
    'mirror.example:5000/nginx:1.25'
    >>> override_image("nginx:1.25", "Tag", "add", "-alpine")
    'nginx:1.25-alpine'
    """
    old = Image.of(image)
    if component == REGISTRY:
        new = old._replace(registry=_changed(old.registry, operator, value))
    elif component == REPOSITORY:
        new = old._replace(repository=_changed(old.repository, operator, value))
    elif component == TAG:
        text = _changed(old.tag or old.digest, operator, value)
        new = old._replace(tag="", digest=text) if re.fullmatch(_DIGEST, text) else old._replace(tag=text, digest="")
    else:
        raise OverriderError(f"an image has no component {component!r}")
    try:
        parsed = Image.of(str(new))
    except OverriderError:
        parsed = None
    if parsed != new:
        raise OverriderError(
            f"{operator} {value!r} to the {str(component).lower()} of {old} does not make the name of an image"
        )
    return str(new)


def _changed(old: str, operator: object, value: str) -> str:
    if operator == ADD:
        return old + value
    if operator == REPLACE:
        return value
    if operator == REMOVE:
        return ""
    raise OverriderError(f"an image overrider has no operator {operator!r}")
