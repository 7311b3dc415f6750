"""A port that can not be listened on, in the words of who chose it: the option or key that gives another."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from kubeedge_actors.errors import DriverError

log = logging.getLogger(__name__)


class ChosenPort(NamedTuple):
    """A port to listen on, the address for it, and the options that gave them, as a person writes them (`--mqtt-port`).

    The key of a configuration file is the option without the dashes; what has only a key is written without them.
    """

    port_option: str
    port: int
    host_option: str
    host: str


@contextmanager
def naming_port_options(*chosen: ChosenPort) -> Iterator[None]:
    """Around whatever listens on these: its DriverError says which option gave the port, and what to do."""
    try:
        yield
    except DriverError as error:
        choice = next((choice for choice in chosen if choice.port == error.port != 0), None)
        if choice is None or not isinstance(error.__cause__, OSError):
            raise  # the address is not what is wrong
        raise type(error)(port_error_text(choice, error.__cause__)) from error.__cause__


def bind_or_do_without(bind: Callable[[str, int], int], chosen: ChosenPort, *, asked: bool, without: str) -> int | None:
    """The port that `bind(host, port)` has got; None, with a warning that begins `without`, where nobody `asked` for this one: the default may be taken.

    Errors: DriverError for one that was asked for.
    """
    try:
        with naming_port_options(chosen):
            return bind(chosen.host, chosen.port)
    except DriverError as error:
        if asked:
            raise
        log.warning("%s: %s", without, error)
        return None


def port_error(chosen: ChosenPort) -> str:
    """Why nobody could listen on it at this moment; empty when somebody could."""
    try:
        socket.create_server((chosen.host, chosen.port)).close()
    except OSError as error:
        return port_error_text(chosen, error)
    return ""


def port_error_text(chosen: ChosenPort, cause: OSError) -> str:
    """Why it can not be listened on, and what to do.

    >>> print(port_error_text(ChosenPort("--mqtt-port", 1883, "--mqtt-host", "127.0.0.1"), OSError(errno.EADDRINUSE, "")))
    --mqtt-port 1883 is in use: something else listens on 127.0.0.1:1883; end that, or give another --mqtt-port (key: mqtt-port)
    """
    option, port, host_option, host = chosen
    # a host name that is none has a negative number of its own
    reason = (os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror or str(cause)).lower()
    if cause.errno == errno.EADDRINUSE:
        key = f" (key: {option.lstrip('-')})" if option.startswith("-") else ""
        return f"{option} {port} is in use: something else listens on {host}:{port}; end that, or give another {option}{key}"
    if cause.errno in (errno.EACCES, errno.EPERM):
        return f"{option} {port}: {reason}; a port below 1024 needs root, give another {option}"
    return f"{host_option} {host} can not be listened on (with {option} {port}): {reason}"
