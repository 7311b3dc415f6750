"""Recorded conversations with the genuine server: loading them, and comparing answers with them.

Placeholders (`<uid>`, `<rv>`, ...) stand for any text; managedFields are optional in the recordings and never answered.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from tests.support.api_client import Answer, ApiClient, Json

FOLDER = Path(__file__).parents[1] / "golden" / "kube-api"
PLACEHOLDER = re.compile(r"<(?:uid|rv|time|age|token|manager|hash|fingerprint)>")
# The genuine server leaves them out of the items of a list of built-in kinds; to say them is harmless.
OF_ITEMS = frozenset({"kind", "apiVersion"})
UNSAFE = "=&%,()!*$'/:@;+-._~"


def cases(name: str) -> dict[str, Json]:
    """The cases of one recording, by name; a repeated name keeps its first case."""
    by_name: dict[str, Json] = {}
    for case in msgspec.json.decode((FOLDER / f"{name}.json").read_bytes())["cases"]:
        by_name.setdefault(case["name"], case)
    return by_name


def replay(api: ApiClient, case: Json, **replaced: str) -> Answer:
    """Sends the request of a case; `replaced` are texts to put in the place of placeholders."""
    request = case["request"]
    path = quote(request["path"])
    if request.get("query"):
        path += "?" + quote(filled(request["query"], replaced), safe=UNSAFE)
    body = request.get("body")
    if body is not None and not isinstance(body, str):
        body = filled(msgspec.json.encode(body).decode(), replaced)
    headers = {name: filled(value, replaced) for name, value in (request.get("headers") or {}).items()}
    return api.call(request["method"], path, body, headers)


def filled(text: str, replaced: dict[str, str]) -> str:
    """A text with placeholders replaced."""
    for name, value in replaced.items():
        text = text.replace(f"<{name}>", value)
    return text


def difference(expected: Any, actual: Any, path: str = "") -> str:
    """What is not as recorded; empty when nothing is."""
    if isinstance(expected, dict):
        return of_objects(expected, actual, path)
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            return f"{path}: {actual!r} is not as long as {expected!r}"
        pairs = enumerate(zip(expected, actual, strict=True))
        return "".join(
            difference(expected_item, actual_item, f"{path}[{index}]") for index, (expected_item, actual_item) in pairs
        )
    if isinstance(expected, str) and PLACEHOLDER.search(expected):
        pattern = ".+".join(re.escape(part) for part in PLACEHOLDER.split(expected))
        fits = isinstance(actual, str) and re.fullmatch(pattern, actual, re.DOTALL)
        return "" if fits else f"{path}: {actual!r} does not fit {expected!r}; "
    same = actual == expected and type(actual) is type(expected)
    return "" if same else f"{path}: {actual!r} is not {expected!r}; "


def of_objects(expected: Json, actual: Any, path: str) -> str:
    """What is not as recorded in an object."""
    if not isinstance(actual, dict):
        return f"{path}: {actual!r} is no object; "
    fields = {key: value for key, value in expected.items() if key != "managedFields"}
    text = "".join(f"{path}.{key} is missing; " for key in fields if key not in actual)
    extra = OF_ITEMS if path.endswith("]") else frozenset()
    text += "".join(f"{path}.{key} is more than recorded; " for key in actual if key not in fields and key not in extra)
    return text + "".join(
        difference(value, actual[key], f"{path}.{key}") for key, value in fields.items() if key in actual
    )


def assert_as_recorded(answer: Answer, case: Json) -> None:
    """Status, recorded headers and body are those of the case."""
    response = case["response"]
    assert answer.status == response["status"], answer.body
    for name, value in (response.get("headers") or {}).items():
        assert answer.headers.get(name) == value, name
    if isinstance(response.get("body"), str):
        assert answer.body.decode() == response["body"]
    elif response.get("body") is not None:
        differences = difference(response["body"], answer.json)
        assert not differences, differences
