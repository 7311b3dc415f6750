"""The actor MetaServer: a small Kubernetes API at the node, from the store and by the cloud; it has the calls that wait for the cloud.

Source of paths and forms: KubeEdge edge/pkg/metamanager/metaserver, Kubernetes API conventions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kubeedge_actors.actors.metamanager.metaserver.api_handler import ApiHandler, CloudSide
from kubeedge_actors.actors.metamanager.metaserver.api_writes import ApiWrites
from kubeedge_actors.actors.metamanager.metaserver.applications import Asker
from kubeedge_actors.actors.metamanager.metaserver.cloud_reads import ApiRefusal, CloudReads
from kubeedge_actors.actors.metamanager.metaserver.local_reads import LocalReads, Matching
from kubeedge_actors.actors.metamanager.metaserver.messages import (
    CallCloud,
    CallTimeout,
    CloudAway,
    CloudSilent,
    TokenNotShown,
    WatchesChanged,
)
from kubeedge_actors.actors.metamanager.metaserver.open_watches import OpenWatches
from kubeedge_actors.actors.metamanager.metaserver.pod_actions import LocalPods, PodActions
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import TokenAuthorizer
from kubeedge_actors.actors.metamanager.metaserver.unhold_upgrade import UnholdUpgrade
from kubeedge_actors.drivers.http.base import HttpServer
from kubeedge_actors.drivers.store.base import MetaStore
from kubeedge_actors.errors import FrameError, MailboxError, StoreError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ReplyTo
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.application import Application, from_content, to_content
from kubeedge_actors.wire.messages import (
    ApplicationRequest,
    ErrorResponse,
    LinkDown,
    LinkUp,
    ReleaseHeldPods,
    Response,
    new_id,
)

RELEASE_TIMEOUT = 5.0
CALL_SECONDS = 10.0
"""Seconds that the cloud may take (source: KubeEdge edge/pkg/metamanager/metaserver/agent)."""
MAX_CALLS = 32
"""Calls that wait for the cloud; it takes no more of one node."""
NOT_CONNECTED = "the cloud can not be asked now, nothing was done: {}"
NOT_SHOWN = (
    "this cloud is one of KubeEdge's own: it would make the call with rights of its own and not with the token, "
    "which is for tokens of a --metaserver-reader only"
)
FORBIDDEN = 403
NO_ANSWER = "the cloud has not answered, whether it was done is not known: {}"


@dataclass(slots=True)
class MetaServerState:
    """What outlives a crash. `cloud_shows_tokens`: the cloud makes calls with the token of who asks, as ours do; None: it is not known, for want of
    a link. `watches`: what programs have open, which goes on.
    """

    cloud_shows_tokens: bool | None = None
    watches: OpenWatches = field(default_factory=OpenWatches)


class MetaServer(Module):
    """Serves what the store holds, and what the cloud answers. Whoever bound the site closes it.

    `matching` makes the test for a label and a field selector; `now`: epoch seconds, for ages; `authorizer`: who may read what; `node`: the
    name of this one; `has_cloud` False: it works alone. `state` outlives a crash. `pods`: their logs and restarts, None: there are none here.
    """

    name = constants.SOURCE_METASERVER
    group = constants.GROUP_META
    emits = (ReleaseHeldPods, ApplicationRequest, CallCloud, CallTimeout, WatchesChanged)

    def __init__(
        self,
        site: HttpServer,
        store: MetaStore,
        matching: Matching,
        now: Callable[[], float],
        authorizer: TokenAuthorizer,
        node: str = "",
        *,
        has_cloud: bool = False,
        state: MetaServerState | None = None,
        pods: LocalPods | None = None,
    ) -> None:
        self._site, self._has_cloud = site, has_cloud
        self._state = state or MetaServerState()
        self._pending: dict[str, ReplyTo] = {}
        self._syncs: set[str] = set()
        self._watches = self._state.watches
        self._watches.on_changed = lambda: self.ref.tell(WatchesChanged())
        self._reads = CloudReads(store, self._ask_cloud)
        side = CloudSide(node, self._reads, ApiWrites(self._ask_cloud), self._watches)
        unhold = UnholdUpgrade(store, node, self._ask_release)
        actions = PodActions(pods) if pods is not None else None
        local = LocalReads(store, matching)
        self._api = ApiHandler(local, now, authorizer, side if has_cloud else None, unhold, actions)

    def on_start(self) -> None:
        """Answer; what a kill has left of watches is forgotten, what a crash has left goes on."""
        if self._watches.all():
            self._sync_watches()
        elif self._has_cloud:
            try:
                self._reads.drop_foreign()
            except StoreError as error:
                self.log.warning("what was watched can not be forgotten: %s", error)
        self._site.serve(self._api)

    # --- held pods ----------------------------------------------------------------------------------------------------

    def _ask_release(self, namespace: str, name: str) -> list[str]:
        """On a thread of the server: wait for what Edged says to this actor."""
        order = ReleaseHeldPods(namespace=namespace, name=name)
        return list(self.ref.ask(order, RELEASE_TIMEOUT).get())

    @on
    def on_release_held_pods(self, message: ReleaseHeldPods) -> None:
        """Pass it to Edged, and its answer back."""
        reply = self.reply_later()
        self.ask(constants.EDGED, message, RELEASE_TIMEOUT).then(reply.send, reply.fail)

    # --- calls of the cloud ---------------------------------------------------------------------------------------------

    def _ask_cloud(self, asker: Asker, application: Application) -> Application:
        """On a thread of the server: wait for what the cloud says to this actor. Errors: CloudAway, CloudSilent, ApiRefusal."""
        call = CallCloud(application=application, trusted=asker.trusted)
        try:
            answer: Application = self.ref.ask(call, CALL_SECONDS + 1.0).get()
        except TokenNotShown as error:
            raise ApiRefusal(
                {"code": FORBIDDEN, "reason": "Forbidden", "status": "Failure", "message": str(error)}
            ) from error
        except MailboxError as error:
            raise CloudSilent(NO_ANSWER.format(error)) from error
        return answer

    @on
    def on_call_cloud(self, message: CallCloud) -> None:
        """Send it."""
        reply = self.reply_later()
        if not self._state.cloud_shows_tokens and message.application.token and not message.trusted:
            known = self._state.cloud_shows_tokens is not None
            reply.fail(TokenNotShown(NOT_SHOWN) if known else CloudAway(NOT_CONNECTED.format("there is no link")))
            return
        if len(self._pending) >= MAX_CALLS:
            reply.fail(CloudAway(NOT_CONNECTED.format(f"{MAX_CALLS} calls are under way")))
            return
        msg_id = new_id()
        self._pending[msg_id] = reply
        self.after(CALL_SECONDS, CallTimeout(msg_id=msg_id))
        content = to_content(message.application)
        request = ApplicationRequest(msg_id=msg_id, resource=constants.PATH_APPLICATION, content=content)
        self.tell(constants.EDGEHUB, request)

    @on
    def on_response(self, message: Response) -> None:
        """The cloud has answered. Whoever no longer waits hears nothing."""
        if message.parent_msg_id in self._syncs:
            self._syncs.discard(message.parent_msg_id)
            self._watches.recheck()
            if message.content:
                self.log.warning("the cloud does not push what %d watches are of", len(message.content))
            return
        reply = self._pending.pop(message.parent_msg_id, None)
        if reply is None:
            self.log.debug("nobody waits for the answer to %s", message.parent_msg_id)
            return
        try:
            reply.send(from_content(message.content))
        except FrameError as error:
            reply.fail(CloudSilent(NO_ANSWER.format(error)))

    @on
    def on_error_response(self, message: ErrorResponse) -> None:
        """EdgeHub could not send it."""
        self._syncs.discard(message.parent_msg_id)
        reply = self._pending.pop(message.parent_msg_id, None)
        if reply is not None:
            reply.fail(CloudAway(NOT_CONNECTED.format(message.reason)))

    @on
    def on_call_timeout(self, message: CallTimeout) -> None:
        """The cloud did not answer in time."""
        reply = self._pending.pop(message.msg_id, None)
        if reply is not None:
            reply.fail(CloudSilent(NO_ANSWER.format(f"it took more than {CALL_SECONDS:.0f} s")))

    @on
    def on_link_down(self, message: LinkDown) -> None:
        """What was asked by this link is not answered."""
        self._state.cloud_shows_tokens = None
        pending, self._pending = self._pending, {}
        self._syncs.clear()
        for reply in pending.values():
            reply.fail(CloudSilent(NO_ANSWER.format("the link has ended")))

    # --- watches ------------------------------------------------------------------------------------------------------

    @on
    def on_link_up(self, message: LinkUp) -> None:
        """Tell this cloud, which may be another one, of the watches; each compares what it has with the API's."""
        self._state.cloud_shows_tokens = message.is_native
        self._watches.recheck()
        if self._watches.all():
            self._sync_watches()

    @on
    def on_watches_changed(self, message: WatchesChanged) -> None:
        """Tell the cloud."""
        self._sync_watches()

    def _sync_watches(self) -> None:
        msg_id, watches = new_id(), self._watches.all(shows_tokens=self._state.cloud_shows_tokens is True)
        self._syncs.add(msg_id)
        content = {id: to_content(application) for id, application in watches.items()}
        request = ApplicationRequest(msg_id=msg_id, resource=constants.PATH_WATCH_SYNC, content=content)
        self.tell(constants.EDGEHUB, request)
