"""A bridge between a node and HTTP, in two modules: `Webhook` tells a web service what devices report, `Inlet` takes what others send.

    python -m kubeedge_actors.edge --name edge-1 --data-dir E --module inventory:Inventory --module bridge:Webhook --module bridge:Inlet \
      --module-config bridge.yaml

bridge.yaml says where updates go (http://127.0.0.1:8000/twins if it does not), and the port to send to (8085). Then:

    curl -d '{"temperature": "21"}' http://127.0.0.1:8085/twin/default/t1       # a device reports
    curl -d 'hello' http://127.0.0.1:8085/mqtt/greetings/hall                   # published on the broker
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec

from kubeedge_actors import (
    Backoff,
    ChildSpec,
    KubeEdgeActorsError,
    Message,
    Module,
    MqttPublish,
    TwinUpdate,
    TwinUpdated,
    Unhandled,
    on,
)

TIMEOUT = 5.0
LARGEST = 1 << 20


class Webhook(Module):
    """Posts every update of a twin as JSON.

    There is no code for retries here, because the platform has it. A service that does not answer is an exception: the module crashes, its
    supervisor starts it again after a while (see `spec`), and it gets the same message again, before those that came meanwhile: the order
    is kept. After ten times the message is a dead letter, and the next one has its turn. Nothing is lost then either: see
    `python -m kubeedge_actors deadletters list`, and `replay` it when the service is back.

    A service may therefore see an update twice (it took it, and its answer was lost): it has to be able to live with that.
    """

    name, group = "webhook", "user"

    class Config(msgspec.Struct):
        """Where updates go. An environment variable would not do: with `@process` the module does not get the node's."""

        url: str = "http://127.0.0.1:8000/twins"

    config: Config

    @classmethod
    def spec(cls, factory: Callable[[], Any] | None = None, **overrides: Any) -> ChildSpec:
        """As for every module, but with more patience: half a second, then twice as long each time, at most a minute; ten times."""
        patience = Backoff(initial=0.5, maximum=60.0, immediate_retries=0)
        return super().spec(factory, **{"max_deliveries": 10, "backoff": patience, **overrides})

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Say it. To wait here is allowed: it delays this module only, and the queue of a mailbox is bounded."""
        body = msgspec.json.encode({"device": update.device, "twin": update.twin})
        request = Request(self.config.url, body, {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=TIMEOUT):
                return
        except HTTPError as error:
            if 400 <= error.code < 500:  # it would say the same the next time: a dead letter at once, and no crash
                raise Unhandled(f"{self.config.url} refuses it with {error.code}") from error
            raise


class Sent(Message, frozen=True, kw_only=True):
    """Somebody sent this to the inlet."""

    path: str
    body: bytes


class Inlet(Module):
    """A small HTTP server: what is sent to it becomes a message.

    The server has threads of its own. They do nothing but ask this module, and the module works in its own turn, one message at a time: no
    locks are needed anywhere.
    """

    name, group = "inlet", "user"
    emits = (MqttPublish, TwinUpdate, Sent)

    class Config(msgspec.Struct):
        """The port to send to; 0 is any that is free."""

        port: int = 8085

    config: Config

    def on_start(self) -> None:
        """Serve; a port that is taken is a crash, and is tried again with back-off until it is free."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.config.port), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="inlet", daemon=True).start()

    def on_stop(self) -> None:
        """Free the port, for the next instance as well. There is no server if the start failed."""
        server = getattr(self, "_server", None)
        if server is not None:
            server.shutdown()
            server.server_close()

    @property
    def port(self) -> int:
        """Where it serves."""
        return int(self._server.server_address[1])

    @on
    def on_sent(self, sent: Sent) -> str:
        """Make a message of it. What is returned is the answer to whoever asked: empty, or what is wrong."""
        kind, _, rest = sent.path.strip("/").partition("/")
        if kind == "mqtt" and rest:
            self.publish(MqttPublish(topic=rest, payload=sent.body))
            return ""
        if kind != "twin" or rest.count("/") != 1:
            return "there are /mqtt/TOPIC and /twin/NAMESPACE/NAME"
        try:
            values = msgspec.json.decode(sent.body, type=dict[str, str])
        except msgspec.DecodeError as error:
            return f"that is no JSON object of texts: {error}"
        twin = {name: {"actual": {"value": value}} for name, value in values.items()}
        self.publish(TwinUpdate(device=rest, payload=msgspec.json.encode({"twin": twin})))
        return ""


def _handler(inlet: Inlet) -> type[BaseHTTPRequestHandler]:
    ref, log = inlet.ref, inlet.log

    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > LARGEST:
                self.send_error(413)
                return
            try:
                wrong = ref.ask(Sent(path=self.path, body=self.rfile.read(length)), TIMEOUT).get()
            except (
                KubeEdgeActorsError
            ) as error:  # the mailbox is full, or the node is stopping: the sender may try again
                self.send_error(503, explain=str(error))
                return
            self.send_response(400 if wrong else 202)
            self.end_headers()
            self.wfile.write(wrong.encode())

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    return Handler
