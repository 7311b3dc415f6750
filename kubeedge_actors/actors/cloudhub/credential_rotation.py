"""Rotates the join token and the servers' certificate before they expire. It may wait for the API; the hub may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubeedge_actors.errors import KubeEdgeActorsError
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants

CHECK_SECONDS = 3600.0
RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RotationCheckDue:
    """An hour has passed."""


class CredentialRotator(Module):
    """Writes a new token and renews the certificate before they expire, while nodes stay connected.

    `write_token` writes one that is good for half a day at least, so that it is another every twelve hours; `renew`
    has the servers show a certificate that does not end soon. Both may block. What fails is tried again after a minute.
    """

    name = f"{constants.CLOUDHUB}-keys"
    group = constants.GROUP_HUB
    emits = (RotationCheckDue,)

    def __init__(self, write_token: Callable[[], object], renew: Callable[[], object]) -> None:
        self._write_token = write_token
        self._renew = renew

    def on_start(self) -> None:
        """The first check is an hour from now: both are valid at the start."""
        self.after(CHECK_SECONDS, RotationCheckDue())

    @on
    def on_rotation_check_due(self, message: RotationCheckDue) -> None:
        """Rotate whichever is due."""
        pause = CHECK_SECONDS
        for task in (self._write_token, self._renew):
            try:
                task()
            except KubeEdgeActorsError as error:
                self.log.warning("the join token or the servers' certificate is not renewed: %s", error)
                pause = RETRY_SECONDS
        self.after(pause, RotationCheckDue())
