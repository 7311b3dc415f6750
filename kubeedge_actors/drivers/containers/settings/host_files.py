"""What an engine's container has of files of this machine: its resolver (source: kubelet network/dns, appendDNSConfig), its
seccomp profile.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from kubeedge_actors.drivers.containers.base import Resolver
from kubeedge_actors.errors import ContainerConfigError, ContainerError

RESOLV_CONF: Final = Path("/etc/resolv.conf")
LOCALHOST: Final = "Localhost/"


def resolver(own: Resolver) -> Resolver:
    """What the container is to have where it wants something of its own; without that the engine makes it as the machine's."""
    if own == Resolver():
        return own
    with suppress(OSError):
        return merged(own, RESOLV_CONF.read_text(encoding="utf-8", errors="replace"))
    return own


def merged(own: Resolver, host: str) -> Resolver:
    """What the container is to have, of what it wants and the text of the machine's resolv.conf. An option that is there
    already is replaced.
    """
    if own.replaces:
        return own
    of_host = parsed(host)
    options = {option.partition(":")[0]: option for option in (*of_host.options, *own.options)}
    return Resolver(
        servers=_each_once(of_host.servers + own.servers),
        searches=_each_once(of_host.searches + own.searches),
        options=tuple(options.values()),
    )


def parsed(text: str) -> Resolver:
    """The text of a resolv.conf.

    >>> parsed("nameserver 192.0.2.1 # ours\\nsearch a b\\noptions ndots:2").searches
    ('a', 'b')
    """
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        key, *words = line.partition("#")[0].partition(";")[0].split() or [""]
        if key == "nameserver":
            servers += words[:1]
        elif key in ("search", "domain"):
            searches = tuple(words)
        elif key == "options":
            options += words
    return Resolver(servers=tuple(servers), searches=searches, options=tuple(options))


def _each_once(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def seccomp_profile(folder: Path, wanted: str) -> str:
    """The text of the profile that a container wants (`Localhost/<path>`) in the folder; empty when it wants none of them.

    Errors: ContainerConfigError for a path that leads out, ContainerError for one that can not be read.
    """
    if not wanted.startswith(LOCALHOST):
        return ""
    name = wanted.removeprefix(LOCALHOST)
    if name.startswith("/") or ".." in name.split("/") or not name or "\0" in name:
        raise ContainerConfigError(f"the seccomp profile {name!r} must be a relative path without '..'")
    try:
        return (folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContainerError(f"cannot load seccomp profile {folder / name}: {error}") from error
