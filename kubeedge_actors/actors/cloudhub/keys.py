"""Looks after what ends by itself: the join token and the servers' certificate. It may wait for the API; the hub may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubeedge_actors.errors import KubeEdgeActorsError
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import names

LOOK = 3600.0
AGAIN = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """An hour has passed."""


class KeyKeeper(Module):
    """Has a token written and a certificate renewed in time, while nodes stay connected.

    `write_token` writes one that is good for half a day at least, so that it is another every twelve hours; `renew`
    has the servers show a certificate that does not end soon. Both may block. What fails is tried again after a minute.
    """

    name = f"{names.CLOUDHUB}-keys"
    group = names.GROUP_HUB
    emits = (Look,)

    def __init__(self, write_token: Callable[[], object], renew: Callable[[], object]) -> None:
        self._write_token = write_token
        self._renew = renew

    def on_start(self) -> None:
        """The first look is an hour from now: both are good at the start."""
        self.after(LOOK, Look())

    @on
    def look(self, message: Look) -> None:
        """See whether one of them is due."""
        pause = LOOK
        for task in (self._write_token, self._renew):
            try:
                task()
            except KubeEdgeActorsError as error:
                self.log.warning("the join token or the servers' certificate is not renewed: %s", error)
                pause = AGAIN
        self.after(pause, Look())
