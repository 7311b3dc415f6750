"""Watches beyond the recordings: bookmarks, time-outs, namespaces, many watchers, clients that are too slow or leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from kubeedge_actors.apiserver import ApiServer
from kubeedge_actors.apiserver.auth import LOCAL_ADMIN
from kubeedge_actors.apiserver.handlers import watch
from kubeedge_actors.apiserver.http_messages import Request, StreamingResponse
from kubeedge_actors.apiserver.storage.database import Database
from kubeedge_actors.apiserver.storage.group_commit import GroupCommit
from kubeedge_actors.apiserver.storage.store import Store
from kubeedge_actors.errors import StoreError
from tests.support.api_client import ApiClient, config_map, pod
from tests.support.inprocess_api import InProcessApi
from tests.support.waiting import PATIENCE, eventually

MAPS = "/api/v1/namespaces/default/configmaps"
WATCH = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"


def stream(inside: InProcessApi, path: str, query: dict[str, str]) -> AsyncIterator[bytes]:
    """The chunks of a watch."""
    request = Request("GET", path, {"watch": "true", **query}, {}, b"", LOCAL_ADMIN)
    answer = inside.parts.routes.answer(request)
    assert isinstance(answer, StreamingResponse)
    return answer.chunks()


async def lines(chunks: AsyncIterator[bytes], count: int) -> list[Any]:
    """The next events."""
    events: list[Any] = []
    while len(events) < count:
        chunk = await asyncio.wait_for(anext(chunks), PATIENCE)
        events += [msgspec.json.decode(line) for line in chunk.splitlines()]
    return events


def test_bookmarks_come_regularly_and_before_the_end(inside: InProcessApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "BOOKMARK_EVERY", 0.05)
    monkeypatch.setattr(watch, "BOOKMARK_BEFORE_END", 0.05)
    version = str(inside.store.revision)
    inside.post("/api/v1/namespaces/default/pods", pod("elsewhere"))

    async def run() -> list[Any]:
        query = {"resourceVersion": version, "timeoutSeconds": "0.2", "allowWatchBookmarks": "true"}
        return [msgspec.json.decode(chunk) async for chunk in stream(inside, MAPS, query)]

    events = asyncio.run(run())
    assert 2 <= len(events) <= 5
    assert {event["type"] for event in events} == {"BOOKMARK"}
    mark = events[-1]["object"]
    assert mark == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": str(inside.store.revision)},
    }


def test_without_the_flag_there_are_no_bookmarks(inside: InProcessApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "BOOKMARK_EVERY", 0.01)

    async def run() -> list[bytes]:
        query = {"resourceVersion": str(inside.store.revision), "timeoutSeconds": "0.1"}
        return [chunk async for chunk in stream(inside, MAPS, query)]

    assert asyncio.run(run()) == []


def test_a_watcher_that_is_too_slow_is_told_to_list_again(inside: InProcessApi) -> None:
    async def run() -> Any:
        chunks = stream(inside, MAPS, {})
        inside.post(MAPS, config_map("a"))
        first = await lines(chunks, 1)
        for index in range(5):
            inside.patch(f"{MAPS}/a", {"data": {"a": f"x{index}"}})
        inside.store.collection("configmaps").trim(inside.now, keep=2)
        return [*first, *(await lines(chunks, 1))]

    first, last = asyncio.run(run())
    assert first["type"] == "ADDED"
    assert (last["type"], last["object"]["reason"]) == ("ERROR", "Expired")


def test_a_version_of_the_future_is_waited_for(inside: InProcessApi) -> None:
    async def run() -> Any:
        chunks = stream(inside, MAPS, {"resourceVersion": str(inside.store.revision + 1)})
        next_line = asyncio.ensure_future(lines(chunks, 1))
        await asyncio.sleep(0)
        inside.post(MAPS, config_map("not-told"))
        inside.post(MAPS, config_map("told"))
        return await next_line

    assert [event["object"]["metadata"]["name"] for event in asyncio.run(run())] == ["told"]


def test_initial_events_may_be_left_out(inside: InProcessApi) -> None:
    inside.post(MAPS, config_map("a"))

    async def run() -> Any:
        query = {"sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan"}
        chunks = stream(inside, MAPS, query)
        next_line = asyncio.ensure_future(lines(chunks, 1))
        await asyncio.sleep(0)
        inside.post(MAPS, config_map("b"))
        return await next_line

    assert asyncio.run(run())[0]["object"]["metadata"]["name"] == "b"


def test_a_watch_is_of_its_namespace_and_fields(api: ApiClient) -> None:
    with api.watch("/api/v1/namespaces/demo/pods?watch=true&fieldSelector=spec.nodeName%3Dedge-1") as events:
        api.post("/api/v1/namespaces/default/pods", pod("elsewhere", nodeName="edge-1"))
        api.post("/api/v1/namespaces/demo/pods", pod("unbound"))
        api.post("/api/v1/namespaces/demo/pods", pod("here", nodeName="edge-1"))
        api.post("/api/v1/namespaces/demo/pods/unbound/binding", {"target": {"name": "edge-1"}})
        received = [next(events) for _ in range(2)]
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in received] == [("ADDED", "here"), ("ADDED", "unbound")]


def follow(api: ApiClient, path: str, until: str, received: list[tuple[str, str]]) -> None:
    """Collects events until a name comes."""
    with api.watch(path) as events:
        for event in events:
            if event["type"] != "BOOKMARK":
                received.append((event["type"], event["object"]["metadata"]["name"]))
            if received and received[-1][1] == until:
                return


def test_two_hundred_watchers_see_the_same(server: ApiServer, api: ApiClient) -> None:
    seen: list[list[tuple[str, str]]] = [[] for _ in range(200)]
    path = f"{MAPS}?{WATCH}"
    threads = [threading.Thread(target=follow, args=(api, path, "last", received)) for received in seen]
    for thread in threads:
        thread.start()
    for index in range(20):
        api.post(MAPS, config_map(f"m{index:02}"))
    api.delete(f"{MAPS}/m03")
    api.post(MAPS, config_map("last"))
    for thread in threads:
        thread.join(PATIENCE)
    for received in seen:
        names = [name for kind, name in received if kind == "ADDED"]
        assert names[-1] == "last" and len(names) == len(set(names))
        assert ("DELETED", "m03") in received or "m03" not in names


def test_a_client_that_leaves_is_forgotten(server: ApiServer, api: ApiClient) -> None:
    def waiting() -> int:
        parts = server._parts
        assert parts is not None
        return sum(len(waiters) for waiters in parts.notifier._waiting.values())

    before = waiting()
    with api.watch(f"{MAPS}?{WATCH}") as events:
        assert next(events)["type"] == "BOOKMARK"
        assert waiting() == before + 1
    assert eventually(lambda: waiting() == before)


class FullDisk(Database):
    """A database that refuses to write while told so."""

    full = False

    def write(self, rows: Any, revision: int) -> None:
        if self.full:
            raise StoreError("the disk is full")
        super().write(rows, revision)


def test_many_changes_become_few_transactions_and_failures_reach_whoever_waits() -> None:
    database = FullDisk(":memory:")
    sizes: list[int] = []
    told: list[str] = []

    def counted(rows: Any, revision: int, write: Callable[[Any, int], None]) -> None:
        sizes.append(len(rows))
        write(rows, revision)

    async def run() -> None:
        store = Store(database, lambda resource, body: {})
        store.on_publish = lambda collection: told.append(collection.resource)
        original = database.write
        database.write = lambda rows, revision: counted(rows, revision, original)  # type: ignore[method-assign]
        commits = GroupCommit(store, database)

        async def put(index: int) -> None:
            store.put("maps", {"metadata": {"name": f"n{index}"}})
            await commits.wait_committed()

        await asyncio.gather(*(put(index) for index in range(100)))
        assert sum(sizes) == 100 and len(sizes) <= 3
        database.full = True
        results = await asyncio.gather(*(put(index) for index in range(100, 110)), return_exceptions=True)
        assert all(isinstance(result, StoreError) for result in results)
        assert store.collection("maps").count() == 100
        database.full = False
        await put(200)
        assert store.is_committed() and database.revision() == store.committed
        await commits.close()

    asyncio.run(run())
    assert set(told) == {"maps"}
    database.close()


def test_a_write_that_cannot_be_stored_is_an_error_and_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ApiServer(database=":memory:", port=0, tls=None)
    server.start()
    api = ApiClient(server.url)
    refuse = True

    def write(self: Database, rows: Any, revision: int) -> None:
        if refuse:
            raise StoreError("the disk is full")
        plain(self, rows, revision)

    plain = Database.write
    monkeypatch.setattr(Database, "write", write)
    answer = api.call("POST", MAPS, config_map("a"))
    assert (answer.status, answer.json["message"]) == (500, "Internal error occurred: the disk is full")
    assert api.get(MAPS)["items"] == []
    refuse = False
    assert api.call("POST", MAPS, config_map("a")).status == 201
    api.close()
    server.stop()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("resourceVersionMatch=NotOlderThan", 422),
        ("resourceVersion=x", 500),
        ("labelSelector=%3D", 400),
        ("fieldSelector=x", 400),
    ],
)
def test_options_of_a_watch_that_make_no_sense_are_refused(inside: InProcessApi, query: str, status: int) -> None:
    assert inside.call("GET", f"{MAPS}?watch=true&{query}").status == status
