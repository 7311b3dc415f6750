"""How many files this process may have open: each connection is one, and without any left nothing works."""

from __future__ import annotations

import resource

from kubeedge_actors.osutil.connection_limits import ServerLimits

WANTED = 65_536


def raise_limit(wanted: int = WANTED) -> int:
    """Have the soft limit raised to `wanted`, as far as the hard one allows; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if possible > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    return max(soft, possible)


def fitted(limits: ServerLimits) -> ServerLimits:
    """The limits, no larger than what this process may open: strangers get an eighth of it, to wait or to be served."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = WANTED if soft == resource.RLIM_INFINITY else soft
    return limits._replace(
        unauthenticated=min(limits.unauthenticated, files // 8),
        waiting=min(limits.waiting, files // 8),
        total=min(limits.total, files * 3 // 4),
    )
