"""Listening sockets, why one can not be had, and who may be at the other end."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

BACKLOG = 128
DOCUMENTATION_ADDRESS = "192.0.2.1"
"""Nobody has it (RFC 5737): the way to it is the one by which this machine goes out."""
SIOCGIFADDR = 0x8915
"""Asks for the address of an interface (netdevice(7))."""
LOOPBACK = "127.0.0.1"
"""Of a machine that has no way out: nobody else can use it, and the controller manager of a cluster refuses all endpoints of a Service with
such a one among them.
"""
ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})
"""What listens on all addresses of a machine."""


def bind(host: str, port: int) -> socket.socket:
    """A bound TCP socket that does not listen yet: nobody else has the port from now on. Port 0 takes a free one.

    Errors: OSError, for a port that is no port too.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OverflowError as error:
        bound.close()
        raise OSError(str(error)) from error
    except OSError:
        bound.close()
        raise
    return bound


def listen(host: str, port: int, backlog: int = BACKLOG) -> socket.socket:
    """A listening TCP socket. Errors: OSError."""
    bound = bind(host, port)
    try:
        bound.listen(backlog)
    except OSError:
        bound.close()
        raise
    return bound


def error_text(error: OSError) -> str:
    """Why it failed, in the system's words.

    >>> error_text(OSError(98, "x")), error_text(OSError("no port"))
    ('Address already in use', 'no port')
    """
    # a host name that is none has a negative number of its own
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def tls_context(certificate: str, key: str = "") -> ssl.SSLContext:
    """To serve TLS with a PEM file, whose key is in another one or in it. Errors: OSError, which ssl.SSLError is."""
    import ssl  # late: who serves loopback only does not need it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key or None)
    return context


def interface_address(name: str) -> str:
    """The IPv4 address of a network interface of this machine; empty when there is none.

    >>> interface_address("lo"), interface_address("nowhere0")
    ('127.0.0.1', '')
    """
    request = struct.pack("256s", name.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, SIOCGIFADDR, request)
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def route_address(host: str = DOCUMENTATION_ADDRESS, port: int = 9) -> str:
    """This machine's IPv4 address on the way to a host, by default to anywhere; empty without a way. Nothing is sent.

    >>> route_address("127.0.0.1")
    '127.0.0.1'
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, port))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def node_address(cloud: str, route: Callable[[str, int], str] = route_address) -> str:
    """Which address a node tells of itself: this machine's as the cloud at that URL sees it; when that is loopback (the cloud is on this
    machine, or behind a tunnel of it), the one by which it goes out (kubelet: nodeutil.GetNodeIP, which takes no loopback). `route`: the
    address on the way to a host and port, empty for none.
    """
    url = urlsplit(cloud)
    for host, port in ((url.hostname or DOCUMENTATION_ADDRESS, url.port or 9), (DOCUMENTATION_ADDRESS, 9)):
        address = route(host, port)
        if address and not is_loopback(address):
            return address
    return LOOPBACK


def is_cross_site(host: str, origin: str, names: Collection[str] = ()) -> bool:
    """Whether a browser speaks for a page of another site: loopback is within its reach, and DNS names mean what their owner wants.

    That is, whether the headers `Host` and `Origin` (empty: not there) name anything but loopback, or one of our own `names`.

    >>> is_cross_site("127.0.0.1:10550", ""), is_cross_site("rebound.example:10550", "")
    (False, True)
    >>> is_cross_site("localhost", "http://evil.example"), is_cross_site("172.17.0.1:10550", "", {"172.17.0.1"})
    (True, False)
    """
    places = (f"//{host or 'localhost'}", origin or "//localhost")
    try:
        found = [urlsplit(place).hostname or "" for place in places]
    except ValueError:  # no address at all
        return True
    # nobody rebinds an address that is no name; a server on all addresses is called by any of them
    everywhere = not ANY_ADDRESS.isdisjoint(names)
    return not all(is_loopback(name) or name in names or (everywhere and is_address(name)) for name in found)


def is_address(host: str) -> bool:
    """Whether it is an IP address, no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def bracketed(host: str) -> str:
    """A host as it stands before a port.

    >>> bracketed("10.0.0.1"), bracketed("::1")
    ('10.0.0.1', '[::1]')
    """
    return f"[{host}]" if ":" in host else host
