"""The capabilities of Linux by name, and what is left of them to a container. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kubeedge_actors.errors import ContainerConfigError

_IN_ORDER = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
NAMES: Final = tuple(_IN_ORDER.split())
"""By number (linux/capability.h)."""
ALL: Final = "ALL"


def normalized(name: str) -> str:
    """A name as it stands in NAMES, or ALL. Error: ContainerConfigError when there is no such capability.

    >>> normalized("cap_net_raw")
    'NET_RAW'
    """
    plain = name.upper().removeprefix("CAP_")
    if plain != ALL and plain not in NAMES:
        raise ContainerConfigError(f'invalid capability: unknown capability: "{name}"')
    return plain


def dropped(added: Iterable[str], removed: Iterable[str]) -> tuple[int, ...]:
    """The numbers of the capabilities that a container with these lists loses; one that is in both lists stays.

    >>> [NAMES[number] for number in dropped(["CHOWN"], ["chown", "CAP_KILL"])]
    ['KILL']
    """
    kept, lost = {normalized(name) for name in added}, {normalized(name) for name in removed}
    names = set(NAMES) if ALL in lost else lost - {ALL}
    return tuple(number for number, name in enumerate(NAMES) if name in names and name not in kept and ALL not in kept)
