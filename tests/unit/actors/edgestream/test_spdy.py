"""SPDY/3.1: what is encoded is parsed back, however the bytes are cut; what is malformed is refused."""

from __future__ import annotations

import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.edgestream.spdy.dictionary import DICTIONARY
from kubeedge_actors.actors.edgestream.spdy.frames import (
    CONTROL_LIMIT,
    Frame,
    FrameEncoder,
    FrameParser,
    GoAway,
    Opened,
    Ping,
    Replied,
    Reset,
    StreamData,
)
from kubeedge_actors.errors import FrameError

IDS = st.integers(1, 0x7FFFFFFF)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
HEADER_SETS = st.dictionaries(TEXTS, TEXTS, max_size=5)
FRAMES: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Opened, IDS, HEADER_SETS, st.booleans()),
    st.builds(Replied, IDS, HEADER_SETS, st.booleans()),
    st.builds(StreamData, IDS, st.binary(max_size=100), st.booleans()),
    st.builds(Reset, IDS, st.integers(1, 11)),
    st.builds(Ping, IDS),
    st.builds(GoAway, IDS, st.integers(0, 2)),
)


def joined(frames: list[Frame]) -> list[Frame]:
    """Frames, with the parts of a data frame put together."""
    whole: list[Frame] = []
    for frame in frames:
        last = whole[-1] if whole else None
        if isinstance(frame, StreamData) and isinstance(last, StreamData) and last.id == frame.id and not last.fin:
            whole[-1] = StreamData(frame.id, last.data + frame.data, frame.fin)
        else:
            whole.append(frame)
    return whole


def test_the_dictionary_is_that_of_the_specification() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


@given(st.lists(FRAMES, max_size=12), st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_frames_come_back_however_the_bytes_are_cut(frames: list[Frame], cuts: list[int]) -> None:
    encoder, parser = FrameEncoder(), FrameParser()
    text, turn = b"".join(map(encoder.encode, frames)), 0
    parsed: list[Frame] = []
    while text:
        size = cuts[turn % len(cuts)]
        parsed += parser.feed(text[:size])
        text, turn = text[size:], turn + 1
    assert joined(parsed) == joined(frames)


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_parse_or_be_refused(data: bytes) -> None:
    with suppress(FrameError):
        list(FrameParser().feed(data))


def test_what_needs_no_answer_is_passed_over() -> None:
    settings = bytes.fromhex("80030004 00000004 00000000")
    window = bytes.fromhex("80030009 00000008 00000001 00010000")
    assert list(FrameParser().feed(settings + window + FrameEncoder().encode(Ping(1)))) == [Ping(1)]


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (bytes.fromhex("80020001 0000000a"), "not a frame"),
        (bytes.fromhex("80030001 00ffffff"), "not a frame"),
        (bytes.fromhex("80030003 00000004 00000001"), "too short"),
        (bytes.fromhex("80030002 00000008 00000001 deadbeef"), "can not be unpacked"),
    ],
)
def test_what_is_malformed_is_refused(frame: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        list(FrameParser().feed(frame))


def test_headers_that_unpack_to_megabytes_are_refused() -> None:
    bomb = FrameEncoder().encode(Opened(1, {"a": "x" * 20 * CONTROL_LIMIT}))
    assert len(bomb) < CONTROL_LIMIT
    with pytest.raises(FrameError, match="too long"):
        list(FrameParser().feed(bomb))
