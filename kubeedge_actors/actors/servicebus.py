"""ServiceBus: HTTP between the cloud and the node. The cloud calls services of this node; programs of this node call the cloud.

Source: KubeEdge edge/pkg/servicebus. Different on purpose: an answer that is an error goes to the cloud as any other
one (there it has no operation, so the router never hears of it and its caller waits for nothing), and a target whose
URL lost a slash on its way, as master's router sends it to stop a rule, is found all the same.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections import deque
from collections.abc import Callable

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.drivers.http.base import ClientRequest, ClientResponse, HttpClient, UploadServer
from kubeedge_actors.drivers.store.base import NameStore
from kubeedge_actors.errors import HttpError, KubeEdgeActorsError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ReplyTo
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    BusUploaded,
    Json,
    Message,
    ServiceBusResponse,
    ServiceCall,
    TargetUrlAdded,
    TargetUrlRemoved,
    new_id,
)

CALL_SECONDS = 10.0
MAX_CALLS = 32
"""Calls to local services under way at once; further ones wait their turn."""
RETRY_SECONDS = 30.0
SERVER_HEADER = {"Server": ["kubeedge-edgecore"]}


class UploadReceived(Message, frozen=True, kw_only=True):
    """A local program has sent this to our server; the answer is the body of the reply."""

    body: bytes | None


class CallFinished(Message, frozen=True, kw_only=True):
    """A local service has answered the call `msg_id`, or could not be called."""

    msg_id: str
    response: ClientResponse


class ResponseTimeout(Message, frozen=True, kw_only=True):
    """The program that waits for the answer to `msg_id` has given up."""

    msg_id: str


class ServerRetryDue(Message, frozen=True, kw_only=True):
    """Timer: start the server again."""


class _UploadRequest(msgspec.Struct):
    """What a local program sends us."""

    method: str | None = ""
    targetURL: str | None = ""


class _UploadResponse(msgspec.Struct):
    """What a local program gets from us; the HTTP status is always 200."""

    code: int
    msg: str
    body: str = ""


class _CallRequest(msgspec.Struct):
    """What the cloud says about a call."""

    header: dict[str, list[str]] | None = None
    body: str | None = ""
    method: str | None = ""


def run_in_thread(work: Callable[[], None]) -> None:
    """Run `work`, which may block, in a thread of its own."""
    threading.Thread(target=work, name="servicebus-call", daemon=True).start()


class ServiceBus(Module):
    """HTTP calls of the cloud's router to local services, and of local programs to the cloud.

    `targets` keeps which URLs local programs may call; `server` runs only while there are some. `timeout`: seconds that
    a local program waits for the cloud. `run_in_thread` runs what blocks.
    """

    name = constants.SERVICEBUS
    group = constants.GROUP_BUS
    emits = (BusUploaded, UploadReceived, CallFinished, ResponseTimeout, ServerRetryDue)

    def __init__(
        self,
        targets: NameStore,
        client: HttpClient,
        server: UploadServer,
        *,
        timeout: float = 60.0,
        run_in_thread: Callable[[Callable[[], None]], None] = run_in_thread,
    ) -> None:
        self._targets, self._client, self._server = targets, client, server
        self._timeout, self._background = timeout, run_in_thread
        self._allowed: set[str] = set()
        self._waiting: dict[str, ReplyTo] = {}
        self._calls = 0
        self._queue: deque[ServiceCall] = deque()
        self._last_warning = ""

    def on_start(self) -> None:
        """Serve if there are targets. Error: StoreError, a crash."""
        self._allowed = set(self._targets.all())
        self._serve()

    def on_stop(self) -> None:
        """Serve no more; whoever waits is told by the supervisor."""
        self._server.close()

    # --- local programs call the cloud --------------------------------------------------------------------------------

    @on
    def on_target_url_added(self, message: TargetUrlAdded) -> None:
        """Local programs may call this URL, from now on and after a restart."""
        self._targets.add(message.url)
        self._allowed.add(message.url)
        self._serve()

    @on
    def on_target_url_removed(self, message: TargetUrlRemoved) -> None:
        """Local programs may no longer call this URL."""
        for url in [allowed for allowed in self._allowed if _normalized(allowed) == _normalized(message.url)]:
            self._targets.remove(url)
            self._allowed.discard(url)
        if not self._allowed:
            self._server.close()

    @on
    def on_server_retry_due(self, message: ServerRetryDue) -> None:
        """Start the server again."""
        self._serve()

    def _serve(self) -> None:
        if not self._allowed or self._server.serving:
            return
        try:
            self._server.start(self._handle)
            if self._last_warning:
                self.log.warning("local programs can call the cloud again")
            self._last_warning = ""
        except HttpError as error:
            if str(error) != self._last_warning:
                self._last_warning = str(error)
                self.log.warning("local programs can not call the cloud (see --service-port): %s", error)
            self.after(RETRY_SECONDS, ServerRetryDue())

    def _handle(self, body: bytes | None) -> bytes:
        """On a thread of the server: wait for what this actor makes of it."""
        try:
            return bytes(self.ref.ask(UploadReceived(body=body), self._timeout + 1.0).get())
        except KubeEdgeActorsError as error:
            return _response_body(400, str(error))

    @on
    def on_upload_received(self, message: UploadReceived) -> bytes | None:
        """Send a local program's request to the cloud, or answer why it is rejected."""
        if message.body is None:
            return _response_body(400, "can't read data from body of the http's request")
        try:
            url = msgspec.json.decode(depth_limit.check_depth(message.body), type=_UploadRequest).targetURL or ""
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _response_body(400, "invalid params")
        if url not in self._allowed:
            return _response_body(400, f"url {url} is not allowed and please make a rule for this url in the cloud")
        msg_id = new_id()
        self._waiting[msg_id] = self.reply_later()
        self.after(self._timeout, ResponseTimeout(msg_id=msg_id))
        content = base64.b64encode(message.body).decode()
        self.tell(
            constants.EDGEHUB, BusUploaded(msg_id=msg_id, resource=url, content=content, source=constants.SERVICEBUS)
        )
        return None

    @on
    def on_service_bus_response(self, message: ServiceBusResponse) -> None:
        """The cloud has answered a local program. One that no longer waits gets nothing."""
        reply_to = self._waiting.pop(message.parent_msg_id, None)
        if reply_to is None:
            self.log.debug("nobody waits for the answer to %s any more", message.parent_msg_id)
            return
        content = message.content
        text = content if isinstance(content, str) else msgspec.json.encode(content).decode()
        reply_to.send(_response_body(200, "receive response from cloud successfully", text))

    @on
    def on_response_timeout(self, message: ResponseTimeout) -> None:
        """The cloud has not answered."""
        reply_to = self._waiting.pop(message.msg_id, None)
        if reply_to is not None:
            reply_to.send(_response_body(400, f"timeout to get response for message {message.msg_id}"))

    # --- the cloud calls local services -------------------------------------------------------------------------------

    @on
    def on_service_call(self, message: ServiceCall) -> None:
        """Call the local service in a thread; the answer comes back as CallFinished."""
        if self._calls >= MAX_CALLS:
            self._queue.append(message)
            return
        self._calls += 1
        self._background(lambda: self.ref.tell(CallFinished(msg_id=message.msg_id, response=self._call(message))))

    def _call(self, message: ServiceCall) -> ClientResponse:
        """On a thread of its own."""
        try:
            return self._client.call(_request(message), CALL_SECONDS)
        except _InvalidCall as refused:
            return ClientResponse(400, SERVER_HEADER, str(refused).encode())
        except HttpError as error:
            self.log.warning("%s", error)
            return ClientResponse(404, SERVER_HEADER, b"error to call service")
        except Exception as error:  # a defect of ours must not keep the cloud waiting, nor this call's place taken
            self.log.exception("a call of %s failed", message.target)
            return ClientResponse(500, SERVER_HEADER, f"error to call service: {error}".encode())

    @on
    def on_call_finished(self, message: CallFinished) -> None:
        """Send the service's answer to the cloud, and start the next call."""
        answer = message.response
        content: Json = {
            "header": {name: list(values) for name, values in answer.headers.items()},
            "status_code": answer.status,
            "body": base64.b64encode(answer.body).decode(),
        }
        uploaded = BusUploaded(resource="", content=content, source=constants.SERVICEBUS, parent_msg_id=message.msg_id)
        self.tell(constants.EDGEHUB, uploaded)
        self._calls = max(0, self._calls - 1)
        if self._queue:
            self.on_service_call(self._queue.popleft())


class _InvalidCall(Exception):
    """The cloud asks for what is no call."""


def _request(message: ServiceCall) -> ClientRequest:
    """The call as HTTP. Error: _Refused, with KubeEdge's words."""
    port, _, path = message.target.partition(":")
    if not port.isdigit() or not 0 < int(port) < 65_536 or not path.startswith("/"):
        raise _InvalidCall(f"the format of resource {message.target} is incorrect")
    try:
        call = msgspec.convert(message.request, _CallRequest)
        body = base64.b64decode(call.body or "", validate=True)
    except (msgspec.ValidationError, binascii.Error) as error:
        raise _InvalidCall("error to parse http request") from error
    return ClientRequest(call.method or message.method, int(port), path, call.header or {}, body)


def _response_body(code: int, text: str, body: str = "") -> bytes:
    return msgspec.json.encode(_UploadResponse(code, text, body))


def _normalized(url: str) -> str:
    return url.replace("://", ":/")
