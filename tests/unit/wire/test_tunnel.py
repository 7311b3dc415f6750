"""The frames of the stream tunnel."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.errors import FrameError
from kubeedge_actors.wire import tunnel
from kubeedge_actors.wire.tunnel import Frame, FrameType

NUMBERS = st.integers(0, (1 << 64) - 1)
FRAMES = st.builds(Frame, NUMBERS, st.sampled_from(FrameType), st.binary(max_size=2000))


@given(FRAMES)
def test_a_frame_comes_back_as_it_was_whatever_its_bytes(frame: Frame) -> None:
    assert tunnel.decode(tunnel.encode(frame)) == frame


@given(st.binary(max_size=40))
def test_bytes_are_a_frame_or_an_error_and_nothing_else(data: bytes) -> None:
    try:
        frame = tunnel.decode(data.decode("latin-1"))
    except FrameError:
        return
    assert tunnel.decode(tunnel.encode(frame)) == frame


@given(NUMBERS, st.binary(max_size=5))
def test_a_number_is_parted_from_what_follows(value: int, rest: bytes) -> None:
    assert tunnel.decode_varint(tunnel.encode_varint(value) + rest) == (value, rest)


@pytest.mark.parametrize(("value", "data"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_numbers_are_those_of_go(value: int, data: bytes) -> None:
    assert tunnel.encode_varint(value) == data


@pytest.mark.parametrize(
    "text", ["", "\x80", "\1\x63", "\xff" * 10 + "\1", "\1\3" + "x" * (tunnel.MAX_DATA + 1), "\1\3\u20ac"]
)
def test_what_is_no_frame_is_refused(text: str) -> None:
    with pytest.raises(FrameError):
        tunnel.decode(text)


def test_a_request_reads_as_the_original_writes_it() -> None:
    text = (
        '{"MessID":7,"url":{"Scheme":"http","Opaque":"","User":null,"Host":"127.0.0.1:10350",'
        '"Path":"/containerLogs/default/nginx/nginx","RawPath":"","OmitHost":false,"ForceQuery":false,'
        '"RawQuery":"follow=true","Fragment":"","RawFragment":""},"header":{"Accept":["*/*"]}}'
    )
    request = tunnel.decode_open(text.encode())
    assert (request.MessID, request.url.Path, request.url.RawQuery) == (
        7,
        "/containerLogs/default/nginx/nginx",
        "follow=true",
    )
    assert request.has_header("accept") and not request.has_header("host")
    ours = tunnel.encode_open(7, request.url.Path, request.url.RawQuery, {"Accept": ["*/*"]})
    assert msgspec.json.decode(ours) == msgspec.json.decode(text)


def test_a_request_may_have_no_headers_at_all() -> None:
    assert not tunnel.decode_open(b'{"MessID":1,"url":{"Path":"/"},"header":null}').has_header("a")


@pytest.mark.parametrize("data", [b"", b"{}", b'{"MessID":"x"}', b"\xff"])
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        tunnel.decode_open(data)
