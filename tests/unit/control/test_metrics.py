"""Prometheus can read what is exposed: parsed by the grammar of its text format 0.0.4, over a real socket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.control.metrics import CONTENT_TYPE, MetricsServer, exposition
from kubeedge_actors.errors import HttpError
from kubeedge_actors.testing import inline
from tests.support.waiting import PATIENCE
from tests.unit.test_testing import Counter

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)')
SUFFIXES = {"summary": ("", "_sum", "_count")}
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> tuple[dict[str, str], Samples]:
    """The types by name, and the samples; AssertionError for what Prometheus would not read."""
    assert text.endswith("\n")
    types: dict[str, str] = {}
    samples: Samples = {}
    current = helped = ""
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            helped, _, words = line[7:].partition(" ")
            assert NAME.fullmatch(helped) and words
        elif line.startswith("# TYPE "):
            current, _, kind = line[7:].partition(" ")
            assert current == helped and current not in types
            assert kind in ("counter", "gauge", "summary")
            types[current] = kind
        else:
            name, labels, value = _sample(line)
            assert name in [current + suffix for suffix in SUFFIXES.get(types[current], ("",))]
            assert (name, labels) not in samples
            samples[name, labels] = value
    return types, samples


def _sample(line: str) -> tuple[str, tuple[tuple[str, str], ...], float]:
    match = NAME.match(line)
    assert match, line
    rest = line[match.end() :]
    labels: list[tuple[str, str]] = []
    if rest.startswith("{"):
        rest = rest[1:]
        inside, _, rest = rest.rpartition("}")
        while inside:
            label = LABEL.match(inside)
            assert label, line
            plain = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), label[2])
            labels.append((label[1], plain))
            inside = inside[label.end() :]
    assert rest.startswith(" ")
    return match[0], tuple(labels), float(rest[1:])


@pytest.fixture
def answer() -> Iterator[dict[str, Any]]:
    """What a node that has worked answers to `tree`."""
    with inline(Counter) as harness:
        harness.probe(float)
        harness.tell("counter", 3)
        harness.tell("counter", 4)
        yield {
            "tree": harness.system.tree(),
            "dead_letters": 2,
            "link": {"state": "connected", "since": 1.0, "attempts": 3},
            "traffic": {"up": {"twin/twin": {"messages": 2, "bytes": 300}}},
            "databases": {"edge.db": 4096},
            "process": {"side": "edge", "name": "e", "version": "1", "pid": 1, "rss": 1000, "cpu": 0.5},
        }


def test_everything_a_node_knows_of_itself_is_there(answer: dict[str, Any]) -> None:
    types, samples = parsed(exposition(answer))
    by_name = {name: value for (name, _), value in samples.items()}
    counter = (("actor", "counter"),)
    prefix = "kubeedge_actors_"
    assert samples[prefix + "messages_total", counter] == 2
    assert samples[prefix + "mailbox_depth", counter] == 0
    assert samples[prefix + "actor_up", counter] == 1
    assert samples[prefix + "handling_seconds_count", counter] == 2
    assert samples[prefix + "handling_seconds", (*counter, ("quantile", "0.99"))] == 0
    assert samples[prefix + "restarts", (("supervisor", "test"),)] == 0
    labels = (("direction", "up"), ("module", "twin"), ("kind", "twin"))
    assert samples[prefix + "link_bytes_total", labels] == 300
    assert samples[prefix + "database_size_bytes", (("database", "edge.db"),)] == 4096
    assert (by_name[prefix + "link_up"], by_name[prefix + "link_attempts_total"]) == (1, 3)
    assert by_name[prefix + "dead_letters_total"] == 2
    assert types[prefix + "handling_seconds"] == "summary"
    assert all(kind == "counter" for name, kind in types.items() if name.endswith("_total"))


def test_a_node_without_anything_has_metrics_too() -> None:
    assert parsed(exposition({"tree": {}, "dead_letters": 0}))[1] == {("kubeedge_actors_dead_letters_total", ()): 0.0}


@given(name=st.text(), subject=st.text().filter(lambda text: "/" not in text))
def test_any_name_survives_the_escaping(name: str, subject: str) -> None:
    traffic = {"up": {f"{subject}/x": {"messages": 1, "bytes": 1}}}
    _, samples = parsed(exposition({"tree": {}, "dead_letters": 0, "databases": {name: 1}, "traffic": traffic}))
    assert samples["kubeedge_actors_database_size_bytes", (("database", name),)] == 1
    labels = (("direction", "up"), ("module", subject), ("kind", "x"))
    assert samples["kubeedge_actors_link_bytes_total", labels] == 1


def test_it_is_served_as_the_format_says(answer: dict[str, Any]) -> None:
    with closing(MetricsServer(lambda: answer)) as server:
        port = server.bind("127.0.0.1", 0)
        server.start()
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as got:
            assert got.headers["Content-Type"] == CONTENT_TYPE
            assert parsed(got.read().decode())[1]
        with pytest.raises(HTTPError, match="404") as refusal:
            urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE)
        refusal.value.close()
        with closing(MetricsServer(dict)) as another, pytest.raises(HttpError, match="metrics can not be served on"):
            another.bind("127.0.0.1", port)
