"""The socket that a broker listens on, or one plain sentence why it can not be had."""

from __future__ import annotations

import ipaddress
import os
import socket

from kubeedge_actors.errors import BrokerError


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Error: BrokerError."""
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        # a host name that is none has a negative number of its own
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise BrokerError(f"port {port} of {host} can not be had for MQTT: {why.lower()}", port) from error


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
