"""Every word of the wire stands once, in constants.py.

A word is *distinctive* when nobody writes it by accident: everything in constants.py but the plain words below, which are
English, or the names of fields in Kubernetes' JSON, and mean other things elsewhere. No other file may hold a
distinctive word (`apiserver/`, `componentconfig/` and `options/` apart): a word with a slash nowhere inside a literal, another one not as one of the parts between a literal's
slashes. The embedded API server speaks Kubernetes, not KubeEdge, and KubeEdge's configuration files and
the options of our commands have words of their own: they are free of the rule. Drivers are not, because what they need of KubeEdge is given to them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kubeedge_actors
from kubeedge_actors.wire import constants

PACKAGE = Path(kubeedge_actors.__file__).parent
NAMES = PACKAGE / "wire" / "constants.py"
FILES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != NAMES and path.relative_to(PACKAGE).parts[0] not in ("apiserver", "componentconfig", "options")
]

PLAIN = {
    "ack", "bus", "config", "controller", "default", "delete", "device", "dmi", "error", "event", "exec", "func", "get",
    "healthz", "hub", "insert", "lease", "message", "meta", "metrics", "msg", "node", "null", "outbox", "patch", "ping", "pod", "pods", "pong", "publish",
    "query", "resource", "response", "scheduler", "secret", "start", "stop", "subscribe", "twin", "unsubscribe",
    "update", "updated", "upload", "user", "volume", "websocket", "workloads", "Err", "OK", "Object", "Check", "Pull",
    "Update", "Upgrade",
}  # fmt: skip
WORDS = {
    value for name, value in vars(constants).items() if name.isupper() and isinstance(value, str) and value not in PLAIN
}
WITH_SLASH = {word for word in WORDS if "/" in word}


def literals(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every string literal that is not a docstring."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in docstrings:
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            yield node.lineno, text


def wire_words(text: str) -> set[str]:
    """The distinctive words in a literal."""
    return {word for word in WITH_SLASH if word in text} | (WORDS & set(text.split("/")))


def test_a_file_takes_its_wire_words_from_names() -> None:
    found = {
        f"{path}:{line}: {text!r} holds {sorted(words)}"
        for path in FILES
        for line, text in literals(path.read_text(encoding="utf-8"))
        if (words := wire_words(text))
    }
    assert found == set()


def sections() -> dict[str, list[tuple[str, str]]]:
    """Name and value of the constants of constants.py, by the section they stand in."""
    result: dict[str, list[tuple[str, str]]] = {}
    title = ""
    for line in NAMES.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"# --- (.*?) -+$", line):
            title = heading[1]
            result[title] = []
        elif constant := re.match(r"([A-Z_]+): Final = ", line):
            result[title].append((constant[1], getattr(constants, constant[1])))
    return result


def test_no_section_has_a_value_twice() -> None:
    for title, listed_constants in sections().items():
        values = [value for _, value in listed_constants]
        assert sorted(set(values)) == sorted(values), title


def test_every_constant_stands_in_a_section() -> None:
    listed = [name for listed_constants in sections().values() for name, _ in listed_constants]
    assert sorted(listed) == sorted(name for name in vars(constants) if name.isupper())
    assert len(sections()) > 5


def test_the_plain_words_are_few_and_all_in_use() -> None:
    assert {value for name, value in vars(constants).items() if name.isupper()} >= PLAIN
    assert len(PLAIN) < len(WORDS)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = 'edgecontroller'", {"edgecontroller"}),
        ("x = f'{n}/twin/update/result'", {"twin/update", "twin/update/result"}),
        ("x = 'null/nodepatch/' + name", {"nodepatch"}),
        ("x = b'$hw/events/device/a'", {"$hw/events/device/"}),
        ("def f():\n    'what edgecontroller does'", set()),
        ("x = 'what edgecontroller does'", set()),
        ("x = {'node': 'pod'}", set()),
    ],
)
def test_the_rule_finds_what_it_should(source: str, found: set[str]) -> None:
    words = {word for _, text in literals(source) for word in wire_words(text)}
    assert words == found
