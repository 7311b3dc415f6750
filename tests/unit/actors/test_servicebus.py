"""HTTP through the service bus: the cloud calls local services, local programs call the cloud."""

from __future__ import annotations

import base64
import threading
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.servicebus import MAX_CALLS, RETRY_SECONDS, ServiceBus, UploadReceived
from kubeedge_actors.drivers.http.base import ClientRequest, ClientResponse
from kubeedge_actors.drivers.http.fake import FakeHttpClient, FakeUploadServer
from kubeedge_actors.drivers.http.stdlib_client import StdlibHttpClient
from kubeedge_actors.drivers.http.stdlib_upload_server import StdlibUploadServer
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.errors import HttpError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec, ThreadsEngine
from kubeedge_actors.testing import inline
from kubeedge_actors.wire.messages import (
    BusUploaded,
    ServiceBusResponse,
    ServiceCall,
    TargetUrlAdded,
    TargetUrlRemoved,
)
from tests.support.waiting import PATIENCE

URL = "http://127.0.0.1:28190/svc"


class Bus:
    """A ServiceBus whose calls run when `work` says so."""

    def __init__(self, store: FakeStore | None = None, contain: bool = False) -> None:
        self.store = store or FakeStore()
        self.client, self.server = FakeHttpClient(), FakeUploadServer()
        self.jobs: list[Any] = []
        self.harness = inline(ServiceBus.spec(self._make), contain=contain)
        self.hub = self.harness.probe("edgehub")
        self.harness.run()

    def _make(self) -> ServiceBus:
        return ServiceBus(self.store.target_urls, self.client, self.server, run_in_thread=self.jobs.append)

    def work(self) -> list[BusUploaded]:
        """Let all calls happen; what the cloud is told."""
        while self.jobs:
            self.jobs.pop(0)()
            self.harness.run()
        return [message for message in self.hub.take() if isinstance(message, BusUploaded)]


def call(target: str = "8080:/a?x=1", **request: Any) -> ServiceCall:
    asked = {
        "header": {"Accept": ["*/*"]},
        "body": base64.b64encode(b"body text").decode(),
        "method": "POST",
        "url": "",
    }
    return ServiceCall(method="POST", target=target, request=asked | request)


def body(uploaded: BusUploaded) -> bytes:
    return base64.b64decode(uploaded.content["body"])


def test_the_answer_of_a_local_service_goes_to_the_cloud() -> None:
    bus = Bus()
    bus.client.services[8080] = lambda request: ClientResponse(201, {"K": ["a", "b"]}, b"made " + request.body)
    message = call()
    bus.harness.publish(message)
    (uploaded,) = bus.work()
    assert (uploaded.source, uploaded.resource, uploaded.parent_msg_id) == ("servicebus", "", message.msg_id)
    assert uploaded.content["status_code"] == 201
    assert uploaded.content["header"] == {"K": ["a", "b"]}
    assert body(uploaded) == b"made body text"
    assert bus.client.called == [ClientRequest("POST", 8080, "/a?x=1", {"Accept": ["*/*"]}, b"body text")]


@pytest.mark.parametrize(
    ("message", "status", "text"),
    [
        (call("no-port"), 400, b"the format of resource no-port is incorrect"),
        (call("99999:/a"), 400, b"the format of resource 99999:/a is incorrect"),
        (call("80:a"), 400, b"the format of resource 80:a is incorrect"),
        (call(body="?"), 400, b"error to parse http request"),
        (call(header="x"), 400, b"error to parse http request"),
        (call("81:/"), 404, b"error to call service"),
    ],
)
def test_a_call_that_can_not_be_made_is_answered_too(message: ServiceCall, status: int, text: bytes) -> None:
    bus = Bus()
    bus.harness.publish(message)
    (uploaded,) = bus.work()
    assert (uploaded.content["status_code"], body(uploaded)) == (status, text)
    assert uploaded.content["header"] == {"Server": ["kubeedge-edgecore"]}


def test_a_defect_in_a_call_is_answered_with_500() -> None:
    bus = Bus()

    def defect(request: ClientRequest) -> ClientResponse:
        raise ZeroDivisionError

    bus.client.services[8080] = defect
    bus.harness.publish(call())
    (uploaded,) = bus.work()
    assert uploaded.content["status_code"] == 500


def test_only_so_many_calls_are_under_way_and_the_others_wait_their_turn() -> None:
    bus = Bus()
    bus.client.services[8080] = lambda request: ClientResponse(200, {})
    for _ in range(MAX_CALLS + 10):
        bus.harness.publish(call())
    assert len(bus.jobs) == MAX_CALLS
    assert len(bus.work()) == MAX_CALLS + 10


def test_the_server_runs_only_while_there_are_targets_over_restarts_too() -> None:
    bus = Bus()
    serving = [bus.server.serving]
    for message in (TargetUrlAdded(url=URL), TargetUrlRemoved(url=URL)):
        bus.harness.publish(message)
        serving += [bus.server.serving, Bus(bus.store).server.serving]
    assert serving == [False, True, True, False, False]


def test_a_target_whose_url_lost_a_slash_on_its_way_is_found() -> None:
    bus = Bus()
    bus.harness.publish(TargetUrlAdded(url=URL))
    bus.harness.publish(TargetUrlRemoved(url=URL.replace("//", "/")))
    assert bus.store.target_urls.all() == []


def test_a_port_that_is_taken_is_said_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    bus = Bus()
    bus.server.failure = HttpError("port 9060 of 127.0.0.1 can not be had")
    bus.harness.publish(TargetUrlAdded(url=URL))
    bus.harness.advance(RETRY_SECONDS)
    assert caplog.text.count("can not be had") == 1
    assert "service-port" in caplog.text and "again" not in caplog.text
    bus.server.failure = None
    bus.harness.advance(RETRY_SECONDS)
    assert bus.server.serving
    assert caplog.text.count("local programs can call the cloud again") == 1


@pytest.mark.parametrize(
    ("request_body", "text"),
    [
        (None, "can't read data from body of the http's request"),
        (b"{", "invalid params"),
        (b'{"x":' + b"[" * 200_000, "invalid params"),
        (b"{}", "url  is not allowed and please make a rule for this url in the cloud"),
        (b'{"targetURL":"http://x"}', "url http://x is not allowed and please make a rule for this url in the cloud"),
    ],
)
def test_a_local_request_that_may_not_be_made_says_why(request_body: bytes | None, text: str) -> None:
    bus = Bus()
    bus.harness.publish(TargetUrlAdded(url=URL))
    answer = msgspec.json.decode(bus.harness.ask("servicebus", UploadReceived(body=request_body)))
    assert answer == {"code": 400, "msg": text, "body": ""}
    assert list(bus.hub) == []


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    bus = Bus()
    bus.harness.publish(ServiceBusResponse(parent_msg_id="unknown", resource=URL, content="late"))
    assert bus.harness.crashes == []


class Cloud(Module):
    """Stands in for EdgeHub: answers each upload, unless it is told to be quiet."""

    name = "edgehub"
    emits = (ServiceBusResponse,)

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    @on
    def on_bus_uploaded(self, message: BusUploaded) -> None:
        """Answer with what came."""
        if not self.quiet:
            text = base64.b64decode(message.content).decode()
            self.publish(
                ServiceBusResponse(
                    parent_msg_id=message.msg_id, resource=message.resource, content=f"thanks for {text}"
                )
            )


@pytest.mark.parametrize("quiet", [False, True])
def test_a_local_program_hears_from_the_cloud_or_that_it_did_not_answer(quiet: bool) -> None:
    store, server, client = FakeStore(), StdlibUploadServer(port=0, poll=0.02), StdlibHttpClient()
    store.target_urls.add(URL)
    system = ActorSystem(ThreadsEngine())
    make = lambda: ServiceBus(store.target_urls, client, server, timeout=0.2 if quiet else 10.0)  # noqa: E731
    system.start(SupervisorSpec("t", [Cloud.spec(lambda: Cloud(quiet)), ServiceBus.spec(make)]))
    try:
        request = msgspec.json.encode({"method": "POST", "targetURL": URL, "payload": {"hello": 1}})
        system.ref("servicebus").ask(TargetUrlAdded(url=URL)).get()
        answer = client.call(ClientRequest("POST", server.port, "/any/path", {}, request), 20.0)
        payload = msgspec.json.decode(answer.body)
        assert answer.status == 200
        if quiet:
            assert (payload["code"], payload["body"]) == (400, "")
            assert payload["msg"].startswith("timeout to get response for message ")
        else:
            expected = {
                "code": 200,
                "msg": "receive response from cloud successfully",
                "body": f"thanks for {request.decode()}",
            }
            assert payload == expected
    finally:
        system.stop(PATIENCE)
    assert not server.serving
    assert threading.active_count() < 20
