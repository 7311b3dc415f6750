"""Calls that MetaServer has the cloud make: each ends, and with what is known of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubeedge_actors.actors.metamanager.downstream import object_row
from kubeedge_actors.actors.metamanager.metaserver import cloud_reads
from kubeedge_actors.actors.metamanager.metaserver.applications import Asker
from kubeedge_actors.actors.metamanager.metaserver.cloud_reads import CloudReads
from kubeedge_actors.actors.metamanager.metaserver.messages import CallCloud, CloudAway, CloudSilent
from kubeedge_actors.actors.metamanager.metaserver.meta_server import (
    CALL_SECONDS,
    MAX_CALLS,
    MetaServer,
    MetaServerState,
)
from kubeedge_actors.actors.metamanager.metaserver.request_info import RequestInfo, parse
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import ANYBODY, TokenAuthorizer
from kubeedge_actors.drivers.cluster.selectors import Selector
from kubeedge_actors.drivers.store.base import MetaChanges
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.supervisors import Future
from kubeedge_actors.testing import Harness, inline
from kubeedge_actors.wire import application as wire
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.application import APPROVED, Application, to_content
from kubeedge_actors.wire.messages import ApplicationRequest, LinkUp, Response
from tests.unit.actors.metamanager.metaserver.test_meta_server import pod


class NoSite:
    """An HttpServer that nobody reaches."""

    def serve(self, handler: object) -> None:
        """See the protocol."""


class Calls:
    """A MetaServer whose calls go to a probe in the place of EdgeHub."""

    def __init__(self) -> None:
        self.store, self.state = FakeStore(), MetaServerState(True)
        meta, site = self.store.meta, NoSite()
        authorizer = TokenAuthorizer(meta, (), ANYBODY, lambda: 0.0)
        matching = lambda *terms: Selector(*terms).matches  # noqa: E731
        options: Any = {"has_cloud": True, "state": self.state}
        made = lambda: MetaServer(site, meta, matching, lambda: 0.0, authorizer, "edge-1", **options)  # type: ignore[arg-type]  # noqa: E731
        self.harness: Harness = inline(MetaServer.spec(made))
        self.hub = self.harness.probe(constants.EDGEHUB, ApplicationRequest)
        self.harness.run()

    def begin(self) -> Future:
        """As a thread of the server begins one."""
        call = CallCloud(application=Application(key="/core/v1/pods/default/a", verb=wire.GET))
        future = self.harness.ref(MetaServer.name).ask(call, 60.0)
        self.harness.run()
        return future

    def answer(self, request: ApplicationRequest, content: Any) -> None:
        """As the cloud answers."""
        self.harness.tell(MetaServer.name, Response(parent_msg_id=request.msg_id, resource="", content=content))


@pytest.fixture
def calls() -> Iterator[Calls]:
    made = Calls()
    yield made
    made.harness.stop()


def test_a_call_is_answered_once_and_what_is_no_answer_is_told_as_such(calls: Calls) -> None:
    good, bad = calls.begin(), calls.begin()
    first, second = calls.hub.take()
    said = Application(status=APPROVED, resp_body=b"{}")
    calls.answer(first, to_content(said))
    calls.answer(first, to_content(said))  # again, when nobody waits
    calls.answer(second, {"ID": 7})
    assert good.get(0.0) == said
    with pytest.raises(CloudSilent, match="whether it was done is not known"):
        bad.get(0.0)


def test_a_cloud_that_says_nothing_ends_a_call_and_makes_room_for_others(calls: Calls) -> None:
    waiting = [calls.begin() for _ in range(MAX_CALLS)]
    with pytest.raises(CloudAway, match="nothing was done: 32 calls are under way"):
        calls.begin().get(0.0)
    calls.harness.advance(CALL_SECONDS)
    for future in waiting:
        with pytest.raises(CloudSilent, match="it took more than 10 s"):
            future.get(0.0)
    assert len(calls.hub.take()) == MAX_CALLS
    assert not calls.begin().done
    assert len(calls.hub.take()) == 1


def test_what_programs_watch_goes_on_after_a_crash_and_nothing_of_it_is_taken_for_gone(calls: Calls) -> None:
    watched = Application(id="w", key="/core/v1/pods/default/null", verb=wire.WATCH)
    foreign = pod("of-another-node")
    row = object_row(foreign, json.dumps(foreign))
    assert row is not None
    with calls.state.watches.during(ASKER, watched):
        calls.harness.run()
        calls.store.meta.apply(MetaChanges(objects=[row]))
        calls.harness.crash(MetaServer.name)
        calls.harness.run()
        assert calls.store.meta.object(row.key) == row
        calls.hub.take()
        calls.harness.publish(LinkUp())
        assert [set(request.content) for request in calls.hub.take()] == [{"w"}]
    calls.harness.run()
    assert [set(request.content) for request in calls.hub.take()] == [set()]
    calls.harness.crash(MetaServer.name)
    calls.harness.advance(60.0)
    assert calls.store.meta.object(row.key) is None  # nobody watches it any more


# --- reads ------------------------------------------------------------------------------------------------------------


def lamp(name: str, version: int = 5) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": f"u-{name}", "resourceVersion": str(version)}
    return {"apiVersion": "example.com/v1", "kind": "Lamp", "metadata": metadata}


def info(name: str = "") -> RequestInfo:
    found = parse(f"/apis/example.com/v1/namespaces/default/lamps/{name}".rstrip("/"))
    assert found is not None
    return found


class Pages:
    """A cloud with these pages of a list; `asked`: the options of the calls."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages, self.asked = pages, list[dict[str, Any]]()

    def __call__(self, asker: Asker, application: Application) -> Application:
        self.asked.append(json.loads(application.option or b"{}"))
        at = len(self.asked) - 1
        more = {"continue": f"page-{at + 1}"} if at + 1 < len(self.pages) else {}
        body = {"metadata": {"resourceVersion": "9", **more}, "items": self.pages[at]}
        return Application(status=APPROVED, resp_body=json.dumps(body).encode())


ASKER = Asker("", trusted=True)


def stored(store: FakeStore) -> set[str]:
    return {row.key.rpartition("/")[2] for row in store.meta.objects("example.com/v1, Resource=lamps")}


def known(store: FakeStore) -> dict[str, int]:
    return {row.key: row.resource_version for row in store.meta.objects("example.com/v1, Resource=lamps")}


def test_what_is_watched_is_made_what_all_pages_say_and_what_is_new_since_stays() -> None:
    store = FakeStore()
    CloudReads(store.meta, Pages([lamp("gone"), lamp("a"), lamp("newer", 12)])).refresh(ASKER, info(), {}, {})
    pages = Pages([lamp("a", 7)], [lamp("b")])
    CloudReads(store.meta, pages).refresh(ASKER, info(), {}, known(store))
    assert stored(store) == {"a", "b", "newer"}
    assert [asked.get("continue") for asked in pages.asked] == [None, "page-1"]
    one = Pages([lamp("a")])
    CloudReads(store.meta, one).refresh(ASKER, info("a"), {"fieldSelector": "x=y"}, {})
    assert one.asked[0]["fieldSelector"] == "x=y,metadata.name=a"


def test_of_more_than_is_watched_nothing_is_taken_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_reads, "MAX_WATCHED", 1)
    store = FakeStore()
    CloudReads(store.meta, Pages([lamp("a"), lamp("z")])).refresh(ASKER, info(), {}, {})
    CloudReads(store.meta, Pages([lamp("a"), lamp("b")], [lamp("z")])).refresh(ASKER, info(), {}, known(store))
    assert stored(store) == {"a", "b", "z"}


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[1]"])
def test_an_answer_that_is_no_object_is_no_answer(body: bytes) -> None:
    call: Callable[[Asker, Application], Application] = lambda *_: Application(status=APPROVED, resp_body=body)  # noqa: E731
    with pytest.raises(CloudSilent, match="the cloud's answer is no"):
        CloudReads(FakeStore().meta, call).get(ASKER, info("a"))
