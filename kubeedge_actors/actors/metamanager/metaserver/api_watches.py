"""Watches of MetaServer: streams from the store, which the cloud keeps up to date meanwhile as far as who watches may. On threads of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from http import HTTPStatus

from kubeedge_actors.actors.metamanager.metaserver.applications import Asker, read_application
from kubeedge_actors.actors.metamanager.metaserver.cloud_reads import ApiRefusal, CloudReads, is_pushed
from kubeedge_actors.actors.metamanager.metaserver.local_reads import LocalReads
from kubeedge_actors.actors.metamanager.metaserver.messages import CloudAway, CloudSilent
from kubeedge_actors.actors.metamanager.metaserver.open_watches import OpenWatches
from kubeedge_actors.actors.metamanager.metaserver.replies import NO_SECRETS, error_reply, unknown_path_reply
from kubeedge_actors.actors.metamanager.metaserver.request_info import RequestInfo
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import EVERYTHING, NOTHING, SECRETS, Reader
from kubeedge_actors.actors.metamanager.metaserver.watch import Scope, StreamEnded, WatchSnapshots, watch_lines
from kubeedge_actors.drivers.http.base import ServerRequest, ServerResponse
from kubeedge_actors.wire import application as wire
from kubeedge_actors.wire.messages import Json

WATCH_SECONDS, CLOUD_WATCH_SECONDS = 3600.0, 300.0
"""How long a watch goes on; one that the cloud has allowed to a token is asked for again, as the token may be good no more."""
SELECTORS = ("labelSelector", "fieldSelector")
FINAL = frozenset({401, 403, 404})
"""Refusals that end a watch: it may go on no more, or there is no such kind. Of all others it is tried again."""
RECHECKS, RECHECK_SECONDS, RETRY_SECONDS = (0.0, 5.0), 60.0, 5.0
"""Seconds after the cloud was told of a watch, between all further looks, and after one that failed."""
Shape = Callable[[Json], Json]


class ApiWatches:
    """`cloud`: None for a node without one; else what reads by it, and what it is told of."""

    def __init__(self, local: LocalReads, cloud: tuple[CloudReads, OpenWatches] | None) -> None:
        self._local, self._cloud = local, cloud
        self._snapshots = WatchSnapshots()

    def on_list(self, request: ServerRequest, info: RequestInfo, version: str, objects: list[Json]) -> None:
        """A client has been shown these, and may watch from there."""
        self._snapshots.add(scope_of(request, info), version, objects)

    def answer(
        self, watch: WatchRequest, reader: Reader | None, renew: Callable[[], Reader | None], shape: Shape
    ) -> ServerResponse:
        """The stream, or why there is none. `renew` tells who reads, now. Errors: ApiRefusal, CloudAway, CloudSilent, ClusterError."""
        if watch.query.get("sendInitialEvents"):  # a client that needs it lists instead when it hears this
            sentence = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            return error_reply(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", sentence)
        asked = watch.info.plural != SECRETS and (bool(watch.asker.token) or not is_pushed(watch.info))
        allowed, pushed = self._ask(watch, reader) if asked else (False, False)
        if reader is None and not pushed:
            return error_reply(HTTPStatus.FORBIDDEN, "Forbidden", NO_SECRETS)
        if self._local.kind(watch.info) is None and not pushed:
            return unknown_path_reply()
        shown = self._known_to_client(watch)
        if shown is None:
            sentence = "too old resource version: what happened since then is not known here any more"
            return error_reply(HTTPStatus.GONE, "Expired", sentence)
        self._local.list(watch.info, watch.query, NOTHING)  # what is no selector is said before the stream begins
        look = _Look(self, watch, renew, allowed=allowed, pushed=pushed)
        return ServerResponse(200, stream=self._stream(watch, look, shape, shown, pushed=pushed))

    def _ask(self, watch: WatchRequest, reader: Reader | None) -> tuple[bool, bool]:
        """Whether the API allows all of it, and whether the cloud is to push it, which may be later."""
        if self._cloud is None:
            return False, False
        try:
            self.refresh(watch)
        except CloudAway:
            if reader is None:
                raise
            return False, True
        except (ApiRefusal, CloudSilent):
            if reader is None:
                raise
            return False, False
        return True, True

    def _known_to_client(self, watch: WatchRequest) -> dict[str, Json] | None:
        since = watch.query.get("resourceVersion", "")
        return {} if since in ("", "0") else self._snapshots.get(watch.scope, since)

    def _stream(
        self, watch: WatchRequest, look: _Look, shape: Shape, shown: dict[str, Json], *, pushed: bool
    ) -> Generator[bytes, None, None]:
        longest = CLOUD_WATCH_SECONDS if pushed and watch.asker.token else WATCH_SECONDS
        wanted = watch.query.get("timeoutSeconds", "")
        seconds = min(float(wanted), longest) if wanted.isdecimal() and int(wanted) else longest
        lines = watch_lines(
            look, shape, shown, seconds, lambda version, now: self._snapshots.add(watch.scope, version, now)
        )
        if not pushed or self._cloud is None:
            yield from lines
            return
        reads, watches = self._cloud
        try:
            with watches.during(watch.asker, read_application(watch.asker, wire.WATCH, watch.info, watch.selectors)):
                yield from lines
        finally:
            if is_pushed(watch.info) and not watches.all():
                reads.drop_foreign()

    def local(self, watch: WatchRequest, reader: Reader) -> list[Json]:
        """What the store has of it."""
        return self._local.list(watch.info, watch.query, reader)[0]

    def refresh(self, watch: WatchRequest) -> None:
        """Make what is stored of it what the API has. Errors: ApiRefusal, CloudAway, CloudSilent."""
        if self._cloud is not None:
            reads, _ = self._cloud
            stored = self._local.versions(watch.info, watch.selectors)
            reads.refresh(watch.asker, watch.info, watch.selectors, stored)

    def generation(self) -> int:
        """Another one after each new link, and when the cloud has been told of a watch."""
        return self._cloud[1].generation if self._cloud is not None else 0


class WatchRequest:
    """What is watched, and by whom."""

    def __init__(self, request: ServerRequest, info: RequestInfo, asker: Asker) -> None:
        self.query, self.info, self.asker = request.query, info, asker
        self.selectors, self.scope = selectors_of(request), scope_of(request, info)


class _Look:
    """What one watch shows now. The store is made what the API has when the cloud has been told of a watch, a while later and each minute: what
    is deleted before the cloud's own watch has begun is pushed by nobody.
    """

    def __init__(
        self,
        watches: ApiWatches,
        watch: WatchRequest,
        renew: Callable[[], Reader | None],
        *,
        allowed: bool,
        pushed: bool,
    ) -> None:
        self._watches, self._watch, self._renew, self._allowed = watches, watch, renew, allowed
        self._generation, self._pushed, self._due = watches.generation(), pushed, [time.monotonic() + RECHECK_SECONDS]

    def __call__(self) -> list[Json]:
        """Who reads is asked each time: a token may have ended, and what its pod names may be another thing by now."""
        now, generation = time.monotonic(), self._watches.generation()
        if generation != self._generation:
            self._generation, self._due = generation, [now + delay for delay in RECHECKS]
        if self._pushed and self._due[0] <= now:
            del self._due[0]
            self._due = self._due or [now + RECHECK_SECONDS]
            self._refresh(now)
        return self._watches.local(self._watch, EVERYTHING if self._allowed else self._renew() or NOTHING)

    def _refresh(self, now: float) -> None:
        try:
            self._watches.refresh(self._watch)
        except ApiRefusal as refused:
            if self._allowed and refused.code in FINAL:
                raise StreamEnded from refused
            self._due.insert(0, now + RETRY_SECONDS)
        except CloudSilent:
            self._due.insert(0, now + RETRY_SECONDS)
        except CloudAway:
            return  # the next link brings the next try


def selectors_of(request: ServerRequest) -> dict[str, str]:
    """The selectors of a request."""
    return {name: request.query[name] for name in SELECTORS if request.query.get(name)}


def scope_of(request: ServerRequest, info: RequestInfo) -> Scope:
    """What a list or a watch is of."""
    return (info, *sorted(selectors_of(request).items()))
