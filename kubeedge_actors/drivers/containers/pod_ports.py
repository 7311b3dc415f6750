"""Connections to TCP ports of a pod: on this machine, or in the network of a process. Imported with the first one."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kubeedge_actors.errors import ContainerError

CONNECT_SECONDS = 10.0
LOOPBACK = ("127.0.0.1", "::1")
NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of setns(2)."""


def connect(port: int, *addresses: str) -> socket.socket:
    """A connection to the first address that takes one. ContainerError."""
    problem = "it has no address"
    for address in addresses:
        try:
            connected = socket.create_connection((address, port), CONNECT_SECONDS)
        except OSError as error:
            problem = error.strerror or str(error)
            continue
        connected.settimeout(None)
        return connected
    raise ContainerError(f"nothing takes connections at port {port}: {problem}")


def connect_inside(pid: int, port: int) -> socket.socket:
    """The same to loopback in the network of a process. OSError when its network can not be entered."""
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        # the thread is left in the other network, so it has to be one that ends
        with ThreadPoolExecutor(1, "pod-network") as thread:
            return thread.submit(_entered, fd, lambda: connect(port, *LOOPBACK)).result()
    finally:
        os.close(fd)


def _entered(fd: int, act: Callable[[], socket.socket]) -> socket.socket:
    if ctypes.CDLL(None, use_errno=True).setns(fd, NEW_NETWORK):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return act()


def is_process_of(pid: int, container_id: str) -> bool:
    """Whether the process is of a container of this machine: an engine may be elsewhere, where its numbers mean others."""
    try:
        return pid > 0 and container_id in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
