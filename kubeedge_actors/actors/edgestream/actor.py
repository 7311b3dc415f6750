"""EdgeStream as an actor: a tunnel to the cloud, opened when the link of the hubs is up and opened again when it breaks.

Source: KubeEdge edge/pkg/edgestream. Different on purpose: the server is verified, and attempts become rarer.
"""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.actors.edgestream.tunnel import Tunnel
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.drivers.link.base import Credentials, Link
from kubeedge_actors.errors import LinkError
from kubeedge_actors.module import Module, on
from kubeedge_actors.outages import Outage
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import LinkDown, LinkUp, Message

FIRST_SECONDS, LAST_SECONDS = 2.0, 120.0


class TunnelOpened(Message, frozen=True, kw_only=True):
    """The tunnel that was opened as number `attempt` stands."""

    attempt: int


class TunnelClosed(Message, frozen=True, kw_only=True):
    """The tunnel that was opened as number `attempt` is no more; `lived`: it was open."""

    attempt: int
    reason: str
    lived: bool


class OpenTunnel(Message, frozen=True, kw_only=True):
    """Time to open one."""


class Seen:
    """Whether the hubs' link is up; it outlives the actor."""

    up = False


class EdgeStream(Module):
    """Answers the cloud's requests for streams from the containers of `runtime`.

    `address` is the node's, `url` the tunnel's: wss://HOST:PORT.
    """

    name = names.EDGESTREAM
    group = "stream"
    emits = (TunnelOpened, TunnelClosed, OpenTunnel)

    def __init__(
        self, node: str, address: str, url: str, links: Callable[[], Link], credentials: Credentials,
        runtime: ContainerRuntime, seen: Seen,
    ) -> None:  # fmt: skip
        self._headers = {names.HEADER_TUNNEL_NODE: node, names.HEADER_TUNNEL_ADDRESS: address}
        self._url, self._links, self._credentials = url + names.PATH_TUNNEL, links, credentials
        self._runtime, self._seen = runtime, seen
        self._tunnel: Tunnel | None = None
        self._attempt = 0
        self._wait = FIRST_SECONDS
        self._outage = Outage()

    def on_start(self) -> None:
        """After a crash: go on."""
        if self._seen.up:
            self._open()

    def on_stop(self) -> None:
        """End the tunnel with all that runs in it."""
        if self._tunnel is not None:
            self._tunnel.close()

    @on
    def link_up(self, message: LinkUp) -> None:
        """The cloud is there."""
        self._seen.up, self._wait = True, FIRST_SECONDS
        self._open()

    @on
    def link_down(self, message: LinkDown) -> None:
        """No more attempts; a tunnel that still stands may stay."""
        self._seen.up = False

    @on
    def again(self, message: OpenTunnel) -> None:
        """The next attempt."""
        if self._seen.up:
            self._open()

    @on
    def opened(self, message: TunnelOpened) -> None:
        """Say that an outage is over."""
        if message.attempt == self._attempt:
            self._outage.ended(self.log, f"the stream tunnel to {self._url} is back", self.clock.monotonic())

    @on
    def closed(self, message: TunnelClosed) -> None:
        """Try again, the later the more often it failed."""
        if message.attempt != self._attempt:
            return
        self._tunnel = None
        if message.lived:
            self._wait = FIRST_SECONDS
        self._complain(message.reason)
        self.after(self._wait, OpenTunnel())
        self._wait = min(2 * self._wait, LAST_SECONDS)

    def _open(self) -> None:
        if self._tunnel is not None:
            return
        self._attempt += 1
        attempt, ref = self._attempt, self.ref
        try:
            tls = self._credentials.obtain()
        except LinkError as error:
            ref.offer(TunnelClosed(attempt=attempt, reason=str(error), lived=False))
            return

        def over(reason: str, lived: bool) -> None:
            ref.offer(TunnelClosed(attempt=attempt, reason=reason, lived=lived))

        link = self._links()
        self._tunnel = Tunnel(link, self._runtime, over, lambda: ref.offer(TunnelOpened(attempt=attempt)))
        link.open(self._url, self._headers, tls, self._tunnel)

    def _complain(self, reason: str) -> None:
        tried = self._seen.up and self._wait > FIRST_SECONDS
        if tried and self._outage.gone(reason, self.clock.monotonic()):
            self.log.warning(
                "no stream tunnel to %s, so the cloud can read no logs of this node: %s", self._url, reason
            )
