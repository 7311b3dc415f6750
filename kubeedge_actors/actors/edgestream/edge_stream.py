"""The actor EdgeStream: keeps a tunnel to the cloud open while the link of the hubs is up.

Source: KubeEdge edge/pkg/edgestream. Different on purpose: the server is verified, and attempts become rarer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubeedge_actors.actors.edgestream.resource_sampler import Json, KubeletFacts, ResourceSampler
from kubeedge_actors.actors.edgestream.tunnel import Tunnel
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.drivers.link.base import CertificateSource, Link
from kubeedge_actors.errors import AnswerLost, AskTimeout, ContainerError, LinkError
from kubeedge_actors.module import Module, on
from kubeedge_actors.outage_log import OutageLog
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import LinkDown, LinkUp, ListNodePods, Message

RETRY_INITIAL, RETRY_MAX = 2.0, 120.0
EDGED_SECONDS = 5.0
"""How long Edged has to say what it runs."""


class TunnelOpened(Message, frozen=True, kw_only=True):
    """The tunnel of attempt number `attempt` is open."""

    attempt: int


class TunnelClosed(Message, frozen=True, kw_only=True):
    """The tunnel of attempt number `attempt` has ended; `was_open`: it had been open."""

    attempt: int
    reason: str
    was_open: bool


class TunnelConnectDue(Message, frozen=True, kw_only=True):
    """Time to open one."""


class EdgeStreamState:
    """Outlives the actor: whether the hubs' link is up, and the number of the last attempt, as the end of one that a crash has ended comes later."""

    up = False
    attempt = 0


class EdgeStream(Module):
    """Answers the cloud's requests for streams from the containers of `runtime`, and what they use from `sampler`.

    `address` is the node's, `url` the tunnel's: wss://HOST:PORT. `configuration`: the fields of a KubeletConfiguration that hold here.
    """

    name = constants.EDGESTREAM
    group = "stream"
    emits = (TunnelOpened, TunnelClosed, TunnelConnectDue, ListNodePods)

    def __init__(
        self, node: str, address: str, url: str, link_factory: Callable[[], Link], credentials: CertificateSource,
        runtime: ContainerRuntime, state: EdgeStreamState, sampler: ResourceSampler | None = None,
        configuration: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        self._headers = {constants.HEADER_TUNNEL_NODE: node, constants.HEADER_TUNNEL_ADDRESS: address}
        self._headers[constants.HEADER_STREAM] = (
            "1"  # to a cloud of ours: this node follows a log again from where it broke off
        )
        self._url, self._links, self._credentials = url + constants.PATH_TUNNEL, link_factory, credentials
        self._runtime, self._seen = runtime, state
        self._facts = KubeletFacts(sampler, self._list_pods, configuration or {}) if sampler is not None else None
        self._tunnel: Tunnel | None = None
        self._wait = RETRY_INITIAL
        self._outage = OutageLog()

    def on_start(self) -> None:
        """After a crash, open the tunnel again if the link is up."""
        if self._seen.up:
            self._open()

    def on_stop(self) -> None:
        """End the tunnel with all that runs in it."""
        if self._tunnel is not None:
            self._tunnel.close()

    @on
    def on_link_up(self, message: LinkUp) -> None:
        """Open the tunnel."""
        self._seen.up, self._wait = True, RETRY_INITIAL
        self._open()

    @on
    def on_link_down(self, message: LinkDown) -> None:
        """Make no more attempts; an open tunnel stays."""
        self._seen.up = False

    @on
    def on_tunnel_connect_due(self, message: TunnelConnectDue) -> None:
        """The next attempt."""
        if self._seen.up:
            self._open()

    @on
    def on_tunnel_opened(self, message: TunnelOpened) -> None:
        """Log the end of an outage."""
        if message.attempt == self._seen.attempt:
            self._outage.log_recovery(self.log, f"the stream tunnel to {self._url} is back", self.clock.monotonic())

    @on
    def on_tunnel_closed(self, message: TunnelClosed) -> None:
        """Retry with back-off."""
        if message.attempt != self._seen.attempt:
            return
        self._tunnel = None
        if message.was_open:
            self._wait = RETRY_INITIAL
        self._warn_once(message.reason)
        self.after(self._wait, TunnelConnectDue())
        self._wait = min(2 * self._wait, RETRY_MAX)

    def _open(self) -> None:
        if self._tunnel is not None:
            return
        self._seen.attempt += 1
        attempt, ref = self._seen.attempt, self.ref
        try:
            tls = self._credentials.obtain()
        except LinkError as error:
            ref.offer(TunnelClosed(attempt=attempt, reason=str(error), was_open=False))
            return

        def over(reason: str, lived: bool) -> None:
            ref.offer(TunnelClosed(attempt=attempt, reason=reason, was_open=lived))

        def opened() -> None:
            ref.offer(TunnelOpened(attempt=attempt))

        link = self._links()
        self._tunnel = Tunnel(link, self._runtime, over, opened, self._facts)
        link.open(self._url, self._headers, tls, self._tunnel)

    def _list_pods(self) -> list[Json]:
        """Called in the threads of streams."""
        try:
            pods: list[Json] = self.ask(constants.EDGED, ListNodePods(), EDGED_SECONDS).get()
        except (AskTimeout, AnswerLost) as error:
            raise ContainerError(f"this node does not know now what it runs: {error}") from error
        return pods

    def _warn_once(self, reason: str) -> None:
        tried = self._seen.up and self._wait > RETRY_INITIAL
        if tried and self._outage.on_failure(reason, self.clock.monotonic()):
            self.log.warning(
                "no stream tunnel to %s, so the cloud can read no logs of this node: %s", self._url, reason
            )
