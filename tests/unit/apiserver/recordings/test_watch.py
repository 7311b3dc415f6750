"""Watches: as recorded from the genuine server."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import msgspec
import pytest

from kubeedge_actors.apiserver import ApiServer
from tests.support.api_client import Answer, ApiClient, Json, config_map
from tests.support.api_recordings import UNSAFE, assert_as_recorded, cases, difference, filled, replay

CASES = cases("watch")
DEFAULT, DEMO = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/demo/configmaps"
SHORT = [("timeoutSeconds=1", "timeoutSeconds=0.2"), ("timeoutSeconds=2", "timeoutSeconds=0.2")]


def three_maps(api: ApiClient, path: str, table: bool = False) -> str:
    """Config maps as there were; answers the version after them."""
    for name in ("w0", "w1", "w2"):
        body = config_map(name, a="1", t="0") if table and name == "w0" else config_map(name)
        api.post(path, body)
    return str(api.get(path)["metadata"]["resourceVersion"])


def recorded_events(case: Json) -> list[Json]:
    """The events of a case."""
    events: list[Json] = case["response"]["events"]
    return events


def stream(api: ApiClient, case: Json, **replaced: str) -> Iterator[Json]:
    """Starts the watch of a case and gives its events."""
    query = filled(case["request"]["query"], replaced)
    for old, new in SHORT:
        query = query.replace(old, new)
    path = f"{case['request']['path']}?{quote(query, safe=UNSAFE)}"
    with api.watch(path, case["request"]["headers"]) as events:
        yield from events


@pytest.mark.parametrize("name", ["w-norv", "sie-empty", "sie-pom", "w-pom", "w-sie-nomatch", "w-bad"])
def test_what_there_is_comes_first(api: ApiClient, name: str) -> None:
    case = CASES[name]
    three_maps(api, case["request"]["path"])
    if case["response"]["status"] != 200:
        answer = replay(api, case)
        assert answer.status == case["response"]["status"]
        assert not difference(recorded_events(case)[0], answer.json)
        return
    assert not difference(recorded_events(case), list(stream(api, case)))


@pytest.mark.parametrize("name", ["sie-table", "w-table"])
def test_tables_have_their_columns_once(api: ApiClient, name: str) -> None:
    case = CASES[name]
    three_maps(api, case["request"]["path"], table=True)
    received = list(stream(api, case))
    wanted = [event for event in recorded_events(case) if event["type"] == "ADDED"]
    assert not difference(wanted, received[:3])
    if name == "sie-table":
        mark = received[3]
        assert mark["type"] == "BOOKMARK" and mark["object"]["columnDefinitions"] is None
        row = mark["object"]["rows"][0]["object"]
        assert row["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_after_the_initial_events_and_their_bookmark_come_changes(api: ApiClient) -> None:
    case = CASES["sie"]
    three_maps(api, DEFAULT)
    events = stream(api, case | {"request": case["request"] | {"query": case["request"]["query"][:-1] + "9"}})
    received = [next(events) for _ in range(4)]
    api.patch(f"{DEFAULT}/w0", {"data": {"t": "1795375343.1404028"}})
    received.append(next(events))
    assert not difference(recorded_events(case)[:5], received)


def test_a_bookmark_ends_the_initial_events_wherever_bookmarks_are_allowed(api: ApiClient) -> None:
    case = CASES["bm-norv"]
    api.post(DEFAULT, config_map("inf1"))
    api.post(DEFAULT, config_map("w0", a="1", t="1795375343.1404028"))
    api.post(DEFAULT, config_map("w2"))
    assert not difference(recorded_events(case), list(stream(api, case)))


@pytest.mark.parametrize("name", ["w-exact", "w-bookmark-timeout"])
def test_changes_since_a_version_come_in_order(api: ApiClient, name: str) -> None:
    case = CASES[name]
    version = three_maps(api, DEMO)
    wanted = recorded_events(case)
    for event in wanted:
        api.patch(f"{DEMO}/w0", {"data": event["object"]["data"]})
    events = stream(api, case, rv=version)
    assert not difference(wanted, [next(events) for _ in wanted])


def test_version_zero_begins_with_what_there_is(api: ApiClient) -> None:
    case = CASES["w-rv0"]
    wanted = recorded_events(case)
    three_maps(api, DEMO)
    api.patch(f"{DEMO}/w0", {"data": wanted[0]["object"]["data"]})
    events = stream(api, case)
    received = [next(events) for _ in range(3)]
    api.patch(f"{DEMO}/w0", {"data": wanted[3]["object"]["data"]})
    assert not difference(wanted[:4], [*received, next(events)])


def test_a_version_that_is_forgotten_is_an_error_event(server: ApiServer, api: ApiClient) -> None:
    three_maps(api, DEMO)
    server.transact(lambda store: store.collection("configmaps").trim(now=1e12))
    assert not difference(recorded_events(CASES["w-old"]), list(stream(api, CASES["w-old"])))


def test_objects_enter_and_leave_a_selection(api: ApiClient) -> None:
    case = CASES["w-label"]
    api.post(DEMO, config_map("w1"))
    wanted = recorded_events(case)
    events = stream(api, case)
    labels = ({"x": "1"}, {"x": "1", "y": "2"}, {"x": "2"})
    version = api.get(DEMO)["metadata"]["resourceVersion"]
    since = case | {"request": case["request"] | {"query": f"watch=true&labelSelector=x=1&resourceVersion={version}"}}
    events = stream(api, since)
    for index, label in enumerate(labels):
        data = wanted[min(index, 1)]["object"]["data"]
        api.patch(f"{DEMO}/w1", {"metadata": {"labels": label}, "data": data})
    received = [next(events) for _ in labels]
    assert [event["type"] for event in received] == [event["type"] for event in wanted]
    assert not difference(wanted[:2], received[:2])
    assert received[2]["object"]["metadata"]["labels"] == {"x": "2", "y": "2"}


def test_a_deletion_carries_the_last_state_with_a_new_version(api: ApiClient) -> None:
    case = CASES["w-del"]
    version = api.post(DEMO, config_map("dd"))["metadata"]["resourceVersion"]
    events = stream(api, case)
    received = [next(events)]
    api.delete(f"{DEMO}/dd")
    received.append(next(events))
    assert not difference(recorded_events(case), received)
    assert int(received[1]["object"]["metadata"]["resourceVersion"]) > int(version)


def test_initial_events_are_nothing_for_a_list(api: ApiClient) -> None:
    answer: Answer = replay(api, CASES["list-sie"])
    assert_as_recorded(answer, CASES["list-sie"])
    assert msgspec.json.decode(answer.body)["code"] == 422
