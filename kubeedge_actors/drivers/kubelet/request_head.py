"""The head of an HTTP/1.1 request, and of one that is passed on. Pure; strict, because it is written again (RFC 9112)."""

from __future__ import annotations

import re

from kubeedge_actors.drivers.kubelet.base import ForwardAnswer, KubeletRequest

END = b"\r\n\r\n"
NOT_PASSED_ON = ("host", "content-length", "transfer-encoding", "expect", "authorization")
"""Written anew, or of no concern to another replica: who asks was checked, and its token stays here."""
_LINE = re.compile(r"([A-Z]{1,20}) (/[\x21-\x7e]*) HTTP/1\.[01]")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")


class HeadParser:
    """Fed with bytes until the head is whole, at most `limit` of them. `rest`: what has come behind it."""

    def __init__(self, limit: int) -> None:
        self._limit, self._data = limit, bytearray()
        self.rest = b""

    @property
    def is_too_long(self) -> bool:
        """Whether more has come than a head may have."""
        return len(self._data) > self._limit

    def feed(self, data: bytes) -> KubeletRequest | None:
        """The request when its head is whole. ValueError: it is none."""
        start = max(0, len(self._data) - len(END))
        self._data += data
        end = self._data.find(END, start)
        if end < 0 or end > self._limit:
            return None
        self.rest = bytes(self._data[end + len(END) :])
        return parse(bytes(self._data[:end]))


def parse(head: bytes) -> KubeletRequest:
    """A request, without its client. ValueError.

    >>> request = parse(b"GET /pods?x=1 HTTP/1.1\\r\\nHost: e1\\r\\nX: a\\r\\nx: b")
    >>> request.method, request.target, request.headers
    ('GET', '/pods?x=1', {'host': ['e1'], 'x': ['a', 'b']})
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise ValueError("that is no request line")
    headers: dict[str, list[str]] = {}
    for text in lines:
        header = _HEADER.fullmatch(text)
        if header is None:
            raise ValueError("that is no header")
        headers.setdefault(header[1].lower(), []).append(header[2])
    if len(headers.get("host", ())) != 1:
        raise ValueError("a request has one Host")
    return KubeletRequest(line[1], line[2], headers)


def forwarded(request: KubeletRequest, answer: ForwardAnswer) -> bytes:
    """The head of a request for another replica."""
    added = {name.lower(): value for name, value in answer.headers.items()}
    left_out = {*NOT_PASSED_ON, *added} | (set() if "upgrade" in request.headers else {"connection"})
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {request.header('host')}"]
    lines += [
        f"{name}: {value}" for name, values in request.headers.items() if name not in left_out for value in values
    ]
    lines += [f"{name}: {value}" for name, value in added.items()]
    return "\r\n".join((*lines, "Content-Length: 0", "", "")).encode("latin-1")
