"""Ports of loopback that nobody else takes between the choice and the use, however many suites run at the same time."""

from __future__ import annotations

import atexit
import errno
import itertools
import socket
from functools import cache

import pytest

FIRST, LAST, BLOCK = 12_000, 32_000, 200
"""Below what Linux gives to outgoing connections and to port 0 (32768 and up), in blocks of which a process holds one."""


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens; no two calls give the same until the block is used up."""
    return list(itertools.islice((port for port in _block() if not _taken(port)), count))


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]


@cache
def _block() -> itertools.cycle[int]:
    """The ports of the first block that no other process holds; its first port is the sign that it is ours."""
    for first in range(FIRST, LAST, BLOCK):
        try:
            _keep(socket.create_server(("127.0.0.1", first), backlog=1))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return itertools.cycle(range(first + 1, first + BLOCK))
    raise OSError(errno.EADDRINUSE, f"all blocks of ports between {FIRST} and {LAST} are taken")


_SIGNS: list[socket.socket] = []


def _keep(sign: socket.socket) -> None:
    _SIGNS.append(sign)
    atexit.register(sign.close)


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """Take the block before the leaks are watched: its sign belongs to no test."""
    _block()
