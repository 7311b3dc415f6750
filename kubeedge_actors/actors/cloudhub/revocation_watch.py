"""Looks every two seconds whether certificates of nodes were revoked, and ends their connections. It may wait for the API; the hub may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants

CHECK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class RevocationCheckDue:
    """Two seconds have passed."""


class RevocationWatch(Module):
    """`check` reads what was revoked and closes what it concerns; it may block."""

    name = f"{constants.CLOUDHUB}-revocations"
    group = constants.GROUP_HUB
    emits = (RevocationCheckDue,)

    def __init__(self, check: Callable[[], object]) -> None:
        self._check = check

    def on_start(self) -> None:
        """It was read before the servers began."""
        self.after(CHECK_SECONDS, RevocationCheckDue())

    @on
    def on_revocation_check_due(self, message: RevocationCheckDue) -> None:
        """Look."""
        self._check()
        self.after(CHECK_SECONDS, RevocationCheckDue())
