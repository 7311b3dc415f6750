"""Under which names and addresses a machine may be reached: what its certificate has to name."""

from __future__ import annotations

import socket

ANY_ADDRESS = ("0.0.0.0", "::", "")


def names_of_machine(host: str) -> list[str]:
    """What nodes and kubectl may call this machine: the address it binds, or every name it knows of itself."""
    if host not in ANY_ADDRESS:
        return [host]
    own = socket.gethostname()
    try:
        names = {str(info[4][0]) for info in socket.getaddrinfo(own, None)}
    except OSError:
        names = set()  # a host name that resolves to nothing
    names |= {own, *_routed()}
    return sorted(names, key=lambda name: (name.startswith("127."), name))


def _routed() -> list[str]:
    """The address by which this machine goes out, if it does; its name often stands for loopback only. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return []
        return [str(probe.getsockname()[0])]
