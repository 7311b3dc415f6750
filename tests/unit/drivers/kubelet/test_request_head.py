"""The head of a request to a kubelet: parsed strictly, because another replica is told it again."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.drivers.kubelet.base import ForwardAnswer, KubeletRequest
from kubeedge_actors.drivers.kubelet.request_head import HeadParser, forwarded

HEAD = b"POST /exec/d/p/c?command=a HTTP/1.1\r\nHost: e1:10351\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\nX: a\r\nX: b\r\n\r\n"
NAMES = st.from_regex(r"[a-z][a-z-]{0,10}", fullmatch=True).filter(lambda name: name not in ("host", "authorization"))
VALUES = st.from_regex(r"([!-~]([ -~]{0,20}[!-~])?)?", fullmatch=True)
TARGETS = st.from_regex(r"/[!-~]{0,40}", fullmatch=True)


@given(st.lists(st.integers(0, len(HEAD)), max_size=6), st.binary(max_size=50))
def test_a_head_is_whole_however_its_bytes_come_and_what_is_behind_it_is_kept(cuts: list[int], behind: bytes) -> None:
    data, parser, found = HEAD + behind, HeadParser(1000), None
    ends = sorted(cuts)
    for start, end in zip([0, *ends], [*ends, len(data)], strict=True):
        if found is not None:
            parser.rest += data[start:end]
        else:
            found = parser.feed(data[start:end])
    assert found is not None and parser.rest == behind
    assert (found.method, found.target, found.headers["x"]) == ("POST", "/exec/d/p/c?command=a", ["a", "b"])


@given(TARGETS, st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=2), max_size=4))
def test_what_is_passed_on_is_read_as_the_same_request_with_the_headers_that_were_added(
    target: str, headers: dict[str, list[str]]
) -> None:
    kept = {name: values for name, values in headers.items() if name not in ("content-length", "expect", "added")}
    request = KubeletRequest("GET", target, {"host": ["e1"], "authorization": ["Bearer secret"], **kept})
    text = forwarded(request, ForwardAnswer("10.0.0.5", 10003, {"Added": "here"}))
    again = HeadParser(1 << 16).feed(text)
    assert again is not None and b"secret" not in text
    expected = {name: values for name, values in kept.items() if name not in ("connection", "transfer-encoding")}
    if "upgrade" in kept and "connection" in kept:
        expected["connection"] = kept["connection"]
    assert again.headers == {"host": ["e1"], **expected, "added": ["here"], "content-length": ["0"]}
    assert (again.method, again.target) == ("GET", target)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n continued: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET http://e2/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/2\r\nHost: a\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    ],
)
def test_what_two_readers_might_read_in_two_ways_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError):
        HeadParser(1000).feed(head)


@given(st.binary(max_size=200))
def test_whatever_bytes_come_it_is_a_request_or_refused(data: bytes) -> None:
    parser = HeadParser(100)
    with contextlib.suppress(ValueError):
        parser.feed(data)
        assert parser.is_too_long == (len(data) > 100)
