"""How deep JSON and YAML from outside may be: one limit, whatever Python runs, wherever they come in."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors import depth_limit, yaml_documents
from kubeedge_actors.actors.devicecontroller.device_status import parse_state_report
from kubeedge_actors.actors.devicetwin.dttypes import NOT_JSON, Rejection, TwinRequest, parse, parse_update
from kubeedge_actors.actors.edged.status.node_status_manager import parse_query_response
from kubeedge_actors.config import EdgeConfig, parse_yaml_documents
from kubeedge_actors.depth_limit import MAX_DEPTH, TooDeep
from kubeedge_actors.drivers.cluster.client_config import from_kubeconfig
from kubeedge_actors.errors import FrameError, UsageError
from kubeedge_actors.kubernetes.registry_logins import registry_login
from kubeedge_actors.options.config_reader import file_settings
from kubeedge_actors.wire import beehive, tunnel
from kubeedge_actors.wire.content import to_value, unquote
from kubeedge_actors.yaml_documents import NotYaml


def nested(depth: int, opening: str = '{"a":') -> str:
    """JSON of this depth."""
    return opening * depth + "1" + {"{": "}", "[": "]"}[opening[0]] * depth


@pytest.mark.parametrize("opening", ['{"a":', "["])
@pytest.mark.parametrize("make", [str, str.encode, lambda text: msgspec.Raw(text.encode())])
def test_what_is_as_deep_as_it_may_be_is_taken_one_level_more_is_not(
    opening: str, make: Callable[[str], str | bytes | msgspec.Raw]
) -> None:
    text = make(nested(MAX_DEPTH, opening))
    assert depth_limit.check_depth(text) is text
    with pytest.raises(TooDeep, match=f"nested more than {MAX_DEPTH} levels deep"):
        depth_limit.check_depth(make(nested(MAX_DEPTH + 1, opening)))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[{" * 1000, nested(1_000_000)])
def test_what_is_never_closed_is_too_deep_too(text: str) -> None:
    with pytest.raises(TooDeep):
        depth_limit.check_depth(text)


@pytest.mark.parametrize("inside", ["[" * 5000, '\\"' + "[" * 5000, "\\\\\\" + '"' + "{" * 5000, "]}" * 5000])
def test_brackets_in_a_text_are_no_levels(inside: str) -> None:
    depth_limit.check_depth(f'{{"a":"{inside}","b":[{{}}]}}')


def test_brackets_in_a_text_hide_no_levels() -> None:
    with pytest.raises(TooDeep):
        depth_limit.check_depth('["]",' * (MAX_DEPTH + 1) + '"[",1]' * (MAX_DEPTH + 1))
    with pytest.raises(TooDeep):
        depth_limit.check_depth('["\\\\",' * (MAX_DEPTH + 1) + "1" + "]" * (MAX_DEPTH + 1))


def depth_of(value: object) -> int:
    """The levels of a value."""
    if isinstance(value, dict | list):
        return 1 + max(map(depth_of, value.values() if isinstance(value, dict) else value), default=0)
    return 0


TEXTS = st.text(st.sampled_from('[]{}"\\a'), max_size=6)
VALUES = st.recursive(TEXTS | st.none(), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner))


@given(VALUES, st.integers(0, 6))
def test_the_depth_is_that_of_the_decoded_value(value: object, limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depth_limit, "MAX_DEPTH", limit)
        deep = depth_of(value) > limit
        if deep:
            with pytest.raises(TooDeep):
                depth_limit.check_depth(json.dumps(value))
        else:
            depth_limit.check_depth(json.dumps(value))


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_yaml_has_the_same_limit(opening: str) -> None:
    text = nested(MAX_DEPTH - 1, opening)  # the value in the middle is a node of its own
    assert yaml_documents.yaml_document(text) == yaml_documents.yaml_documents(text)[0] == yaml.safe_load(text)
    for read in (yaml_documents.yaml_document, yaml_documents.yaml_documents):
        with pytest.raises(NotYaml, match="nested more than"):
            read(nested(MAX_DEPTH, opening))
        with pytest.raises(NotYaml):
            read(opening * 100_000)


# --- where things come in; those of the API, the bootstrap, the ServiceBus and the tokens are in their own tests ----

DEEP = nested(3000)
"""The interpreter of Python 3.11 and 3.12 refuses it, that of 3.13 does not."""


def test_a_frame_of_the_hubs() -> None:
    with pytest.raises(FrameError, match="nested more than"):
        beehive.decode(f'{{"header":{{}},"route":{{}},"content":{DEEP}}}')
    with pytest.raises(FrameError, match="nested more than"):
        tunnel.decode_open(f'{{"MessID":1,"unknown":{DEEP}}}'.encode())


def test_the_text_of_a_content() -> None:
    with pytest.raises(FrameError, match="nested more than"):
        to_value(DEEP)
    assert unquote(DEEP) is DEEP
    assert parse_query_response(DEEP) is None
    assert parse_state_report(DEEP) is None


def test_the_payload_of_a_device() -> None:
    payload = f'{{"twin":{{}},"unknown":{DEEP}}}'.encode()
    assert parse_update(payload) == Rejection(400, NOT_JSON)
    assert "nested more than" in str(parse(payload, TwinRequest))


def test_configuration_files(tmp_path: Path) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(DEEP)
    with pytest.raises(UsageError, match="is not YAML"):
        file_settings(EdgeConfig, str(path))
    with pytest.raises(UsageError, match="is not YAML"):
        from_kubeconfig(path)
    with pytest.raises(ValueError, match="nested more than"):
        parse_yaml_documents(DEEP)


def test_the_registries_of_a_pull_secret() -> None:
    secret = {"data": {".dockerconfigjson": base64.b64encode(DEEP.encode()).decode()}}
    assert registry_login("registry.example/app", [secret]) is None


def test_a_number_in_the_place_of_a_text_is_no_text_and_costs_no_memory() -> None:
    with pytest.raises(TypeError):
        depth_limit.check_depth(1 << 50)  # type: ignore[type-var]
