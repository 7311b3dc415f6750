"""What is understood as Go understands it, and what is refused with a FrameError and nothing else."""

from __future__ import annotations

import sys

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubeedge_actors.errors import FrameError
from kubeedge_actors.wire import beehive
from kubeedge_actors.wire.beehive import BeehiveMessage, Header, Route
from tests.support import message_strategies as strategies
from tests.support.recordings import Frame, go_json, golden, value_of

FULL = BeehiveMessage(
    header=Header(msg_id="a", parent_msg_id="b", timestamp=7, resourceversion="9"),
    route=Route(source="s", group="g", operation="o", resource="r"),
    content=msgspec.Raw(b'{"x":1}'),
)
TEXT = beehive.encode(FULL)


@strategies.quick
@given(strategies.records)
def test_what_is_written_is_read_again(record: BeehiveMessage) -> None:
    assert value_of(beehive.decode(beehive.encode(record))) == value_of(record)
    assert value_of(beehive.decode(beehive.encode(record).encode())) == value_of(record)


@pytest.mark.parametrize("frame", golden(), ids=lambda frame: frame.place)
def test_a_recorded_frame_is_written_byte_for_byte_as_go_wrote_it(frame: Frame) -> None:
    assert beehive.encode(beehive.decode(frame.text)) == frame.text


@strategies.quick
@given(st.text(alphabet='ab<>&\u2028\u2029\u2030\\"é\U0001f600', max_size=30))
def test_the_characters_that_go_escapes_are_escaped(text: str) -> None:
    record = BeehiveMessage(route=Route(resource=text), content=msgspec.Raw(msgspec.json.encode(text)))
    written = beehive.encode(record)
    header, route = {"msg_id": "", "timestamp": 0}, {"resource": text} if text else {}
    assert written == go_json({"header": header, "route": route, "content": text})
    assert value_of(beehive.decode(written)) == value_of(record)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.rstrip(),
        TEXT + "\r\n \n",
        " \n\t" + TEXT,
        TEXT + '{"header":{"msg_id":"second"}}',
        TEXT + "no JSON at all",
        TEXT + "\x00\xff",
        TEXT.upper()
        .replace("\\U", "\\u")
        .replace('"A"', '"a"')
        .replace('"B"', '"b"')
        .replace('"S"', '"s"')
        .replace('"G"', '"g"')
        .replace('"O"', '"o"')
        .replace('"R"', '"r"')
        .replace('"X"', '"x"'),
        TEXT.replace("source", "\u017fource"),
        TEXT.replace('"route"', '"unknown":[{"deep":"}"}],"route"'),
        TEXT.replace('"source"', '"unknown":null,"source"'),
        TEXT.replace('"sync"', '"sync":null,"x"').replace('"msg_id"', '"type":null,"msg_id"'),
    ],
)
def test_what_go_tolerates_means_the_same(text: str) -> None:
    assert beehive.decode(text) == FULL
    assert beehive.decode(text.encode()) == FULL


@pytest.mark.parametrize(
    "text",
    ["{}", "null", "{}\n", '{"header":null,"route":null,"content":null}', '{"header":{},"route":{}}', '{"x":1}', "{}]"],
)
def test_what_is_missing_is_empty(text: str) -> None:
    assert beehive.decode(text) == BeehiveMessage()


def test_the_exact_spelling_and_another_one_are_the_same_field() -> None:
    assert beehive.decode('{"HEADER":{"Msg_ID":"x"},"Content":[1]}') == BeehiveMessage(
        header=Header(msg_id="x"), content=msgspec.Raw(b"[1]")
    )


def test_an_envelope_of_v0_2_with_all_its_empty_fields_is_read() -> None:
    text = (
        '{"header":{"msg_id":"a","parent_msg_id":"","timestamp":7,"sync":true},'
        '"route":{"source":"controller","group":"","operation":"update","resource":"default/pod/p"},"content":{}}'
    )
    assert beehive.decode(text) == BeehiveMessage(
        header=Header(msg_id="a", timestamp=7, sync=True),
        route=Route(source="controller", operation="update", resource="default/pod/p"),
        content=msgspec.Raw(b"{}"),
    )


def test_a_content_keeps_the_spelling_of_its_own_fields() -> None:
    assert bytes(beehive.decode('{"Content":{"HEADER":1,"Unknown":null}}').content) == b'{"HEADER":1,"Unknown":null}'


@pytest.mark.parametrize("broken", [b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\\udc00x", b"\\uDBFF\\n"])
def test_what_is_no_unicode_becomes_the_replacement_character(broken: bytes) -> None:
    record = beehive.decode(b'{"header":{"msg_id":"a' + broken + b'"},"content":"b' + broken + b'"}')
    assert record.header.msg_id.startswith("a\ufffd")
    assert msgspec.json.decode(record.content).startswith("b\ufffd")


def test_an_escaped_backslash_before_a_u_is_no_escape() -> None:
    record = beehive.decode('{"x":1,"content":"\\\\ud800 \\ud83d\\ude00"}')
    assert msgspec.json.decode(record.content) == "\\ud800 \U0001f600"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n",
        "[]",
        "[{}]",
        "1",
        '"text"',
        "true",
        "{",
        '{"header"',
        '{"header":',
        TEXT[:-3],
        TEXT[:40],
        "\ufeff{}",
        "{'header':{}}",
        '{"header":[]}',
        '{"header":"x"}',
        '{"route":1}',
        '{"header":{"msg_id":1}}',
        '{"header":{"msg_id":{}}}',
        '{"header":{"timestamp":"1"}}',
        '{"header":{"timestamp":1.5}}',
        '{"header":{"timestamp":true}}',
        '{"header":{"timestamp":1e30}}',
        '{"header":{"timestamp":9223372036854775808}}',
        '{"header":{"resourceversion":48213}}',
        '{"header":{"sync":"true"}}',
        '{"HEADER":{"MSG_ID":1}}',
        '{"route":{"source":["a"]}}',
        '{"content":NaN}',
        '{"content":Infinity}',
        '{"content":[01]}',
        '{"content":"a\nb"}',
        '{"content":"\\q"}',
        '{"content":[1,]}',
        '{"content":1}}'.replace("1}}", "1]}"),
        '{"header":{"msg_id":"a"},}',
        '"' + '\\"' * 20_000,
        "\x00",
    ],
    ids=lambda text: text[:40] or "nothing",
)
def test_what_go_would_close_the_connection_over_is_a_frame_error(text: str) -> None:
    with pytest.raises(FrameError):
        beehive.decode(text)
    with pytest.raises(FrameError):
        beehive.decode(text.encode())


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("field", ["content", "unknown", "CONTENT", "header"])
def test_a_nesting_bomb_is_a_frame_error(opening: str, field: str) -> None:
    with pytest.raises(FrameError):
        beehive.decode('{"' + field + '":' + opening * 200_000)


def test_a_closed_nesting_bomb_is_a_frame_error() -> None:
    depth = sys.getrecursionlimit() * 20
    with pytest.raises(FrameError):
        beehive.decode('{"content":' + "[" * depth + "]" * depth + "}")


@strategies.quick
@given(
    st.text(max_size=60)
    | st.text(alphabet=st.characters(categories=["Cs"]) | st.sampled_from('{}":\\'))
    | st.binary(max_size=60)
)
@example("\ud800")
@example('{"header":{"msg_id":"\ud800\udc00"},"x":1}')
@example(b"\xff\xfe{}")
def test_no_input_raises_anything_but_a_frame_error(data: str | bytes) -> None:
    try:
        assert isinstance(beehive.decode(data), BeehiveMessage)
    except FrameError:
        return


@strategies.quick
@given(st.sampled_from(golden()), st.data())
def test_no_damage_to_a_frame_raises_anything_but_a_frame_error(frame: Frame, data: st.DataObject) -> None:
    text = frame.text.encode()
    at = data.draw(st.integers(0, len(text) - 1))
    junk = data.draw(st.binary(max_size=4))
    for damaged in (text[:at], text[:at] + junk + text[at:], text[:at] + junk + text[at + len(junk) :]):
        try:
            beehive.encode(beehive.decode(damaged))
        except FrameError:
            continue


@strategies.quick
@given(strategies.records, st.data())
def test_names_in_another_case_are_the_same_names(record: BeehiveMessage, data: st.DataObject) -> None:
    value = msgspec.json.decode(beehive.encode(record))
    fold = data.draw(st.sampled_from([str.upper, str.title, str.swapcase]))
    parts = {fold(part): value[part] for part in ("header", "route")}
    shouted = {part: {fold(name): found for name, found in fields.items()} for part, fields in parts.items()}
    text = msgspec.json.encode({**shouted, fold("content"): value["content"]})
    assert value_of(beehive.decode(text)) == value_of(record)


@pytest.mark.parametrize(
    "record",
    [BeehiveMessage(route=Route(resource="\ud800")), BeehiveMessage(content=msgspec.Raw(b'"\xff"'))],
    ids=["route", "content"],
)
def test_text_that_is_no_unicode_can_not_be_written(record: BeehiveMessage) -> None:
    with pytest.raises(FrameError):
        beehive.encode(record)
