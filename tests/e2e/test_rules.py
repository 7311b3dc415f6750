"""KubeEdge's four specs about rules, with whole processes: one rule for each direction; and the case its users miss most: a cut while messages go up.

Source: KubeEdge tests/e2e/rule.
"""

from __future__ import annotations

import base64
import http.client
import json
import queue
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from kubeedge_actors.drivers.http.base import BODY_LIMIT
from tests.support.cloud_and_edge import CloudAndEdge, ending
from tests.support.mqtt_clients import Paho, paho
from tests.support.plugins.ports import free_ports
from tests.support.rules import endpoint, rule
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.kubectl
NODE = "edge-1"
MESSAGE = b"Hello World!"


class EchoServer:
    """The suite's: /echo says Hello World, /url tells the headers that it got; /mirror says the body again, /huge 5 MB. `bodies`: what came, in order."""

    def __init__(self, port: int) -> None:
        self.bodies: queue.Queue[tuple[bytes, str]] = queue.Queue()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                server.bodies.put((body, self.headers.get("Idempotency-Key", "")))
                reply = b"Hello World"
                if self.path.startswith("/url"):
                    reply = (
                        f"Reply: {body.decode()} {self.headers['user']} {self.headers['passwd']} {self.path}".encode()
                    )
                if self.path.startswith("/mirror"):
                    reply = body
                elif self.path.startswith("/huge"):
                    reply = b"y" * BODY_LIMIT
                self.send_response(200)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *arguments: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def next(self) -> bytes:
        """The next body."""
        return self.bodies.get(timeout=PATIENCE)[0]

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serving(port: int) -> Iterator[EchoServer]:
    """The target, up."""
    server = EchoServer(port)
    try:
        yield server
    finally:
        server.close()


class RuleStage(CloudAndEdge):
    """Cloud and edge, the suite's endpoints, and its rules when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.router, self.secure, self.service, self.bus = free_ports(4)
        super().__init__(
            folder,
            *("--runtime", "process", "--service-port", str(self.bus)),
            cloud_options=("--router-open", str(self.router), "--router-port", str(self.secure)),
        )

    def start(self) -> None:
        """Both, with the RuleEndpoints."""
        super().start()
        self.put(
            endpoint("rest-test", "rest"),
            endpoint("eventbus-test", "eventbus"),
            endpoint("servicebus-test", "servicebus", service_port=str(self.service)),
        )

    def put(self, *objects: object) -> None:
        """kubectl apply."""
        self.apply(yaml.safe_dump_all(objects))

    @property
    def echo(self) -> str:
        """The suite's target."""
        return f"http://127.0.0.1:{self.service}/echo"

    def upward(self) -> dict[str, object]:
        """The suite's rule from eventbus to rest."""
        source = {"topic": "test", "node_name": NODE}
        return rule("up", "eventbus-test", source, "rest-test", {"resource": self.echo})

    def post(self, port: int, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """A request; status and body of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def post_by_tls(self, path: str, body: bytes, certificate: tuple[Path, Path] | None = None) -> tuple[int, bytes]:
        """The same at the port that asks who one is: under the certificate in these files (certificate, key), or none."""
        context = ssl.create_default_context(cafile=str(self.cloud.data_dir / "certs" / "ca.crt"))
        if certificate is not None:
            context.load_cert_chain(*certificate)
        connection = http.client.HTTPSConnection("127.0.0.1", self.secure, timeout=PATIENCE, context=context)
        try:
            connection.request("POST", path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def post_when_known(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """A request, once the rule is known; the body of its answer."""
        answers: list[bytes] = []

        def answered() -> bool:
            status, said = self.post(self.router, path, body, headers)
            answers.append(said)
            return status == 200

        eventually(answered, f"{path} is answered: {answers[-1:]}")
        return answers[-1]

    def successes(self, name: str) -> int:
        """What stands in the rule's status."""
        return int((self.json("get", "rule", name).get("status") or {}).get("successMessages", 0))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RuleStage]:
    made = RuleStage(tmp_path_factory.mktemp("rules"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def echo(stage: RuleStage) -> Iterator[EchoServer]:
    with serving(stage.service) as server:
        yield server


@pytest.fixture
def client(stage: RuleStage) -> Iterator[Paho]:
    with paho(stage.mqtt) as connected:
        yield connected


def test_rest_to_eventbus(stage: RuleStage, client: Paho) -> None:
    stage.put(rule("down", "rest-test", {"path": "/ccc"}, "eventbus-test", {"topic": "topic-test"}))
    client.subscribe("topic-test")
    assert stage.post_when_known(f"/{NODE}/default/ccc", MESSAGE, {}) == b"message delivered"
    assert client.hear().payload == MESSAGE
    assert stage.post(stage.router, f"/{NODE}/default/nothing", MESSAGE, {})[0] == 404
    assert stage.post(stage.router, "/edge-9/default/ccc", MESSAGE, {})[0] == 500


def test_by_tls_an_administrator_may_use_a_rule_and_a_node_may_not(stage: RuleStage, client: Paho) -> None:
    stage.put(rule("tls", "rest-test", {"path": "/tls"}, "eventbus-test", {"topic": "topic-tls"}))
    client.subscribe("topic-tls")
    path = f"/{NODE}/default/tls"
    stage.post_when_known(path, b"first", {})
    certs = stage.cloud.data_dir / "certs"
    assert stage.post_by_tls(path, MESSAGE)[0] == 401
    assert stage.post_by_tls(path, MESSAGE, _pair(stage.edge.data_dir))[0] == 403
    assert stage.post_by_tls(path, MESSAGE, (certs / "admin.crt", certs / "admin.key"))[0] == 200
    assert client.hear_payloads(2) == [b"first", MESSAGE]


def _pair(folder: Path) -> tuple[Path, Path]:
    """The node's certificate and its key."""
    return next(folder.rglob("node.crt")), next(folder.rglob("node.key"))


def test_eventbus_to_rest(stage: RuleStage, echo: EchoServer, client: Paho) -> None:
    stage.put(stage.upward())
    eventually(lambda: _arrives(client, echo), "what was published is told to the URL")
    eventually(lambda: stage.successes("up") > 0, "the rule's status counts it")


def test_rest_to_servicebus(stage: RuleStage, echo: EchoServer) -> None:
    stage.put(rule("service", "rest-test", {"path": "/ddd"}, "servicebus-test", {"path": "/url"}))
    headers = {"user": "I am user", "passwd": "I am passwd"}
    said = stage.post_when_known(f"/{NODE}/default/ddd/more?x=1", MESSAGE, headers)
    assert said == b"Reply: Hello World! I am user I am passwd /url/more?x=1"


def test_servicebus_to_rest(stage: RuleStage, echo: EchoServer) -> None:
    source = {"target_url": stage.echo, "node_name": NODE}
    stage.put(rule("programs", "servicebus-test", source, "rest-test", {"resource": stage.echo}))
    request = json.dumps({"method": "POST", "targetURL": stage.echo, "payload": ""}).encode()

    def answer() -> dict[str, object]:
        try:
            return dict(json.loads(stage.post(stage.bus, "/", request, {})[1]))
        except OSError:
            return {}

    eventually(lambda: answer().get("body") == "Hello World", "the program hears what the URL says")


def test_five_megabytes_go_through_the_service_bus_both_ways(stage: RuleStage, echo: EchoServer) -> None:
    stage.put(rule("big", "rest-test", {"path": "/big"}, "servicebus-test", {"path": "/mirror"}))
    body = bytes(range(256)) * (BODY_LIMIT // 256)
    assert stage.post_when_known(f"/{NODE}/default/big", body, {}) == body
    huge = stage.echo.replace("/echo", "/huge")
    source = {"target_url": huge, "node_name": NODE}
    stage.put(rule("big-programs", "servicebus-test", source, "rest-test", {"resource": huge}))
    request = json.dumps({"method": "POST", "targetURL": huge, "payload": ""})
    request = request.replace('""', json.dumps("x" * (BODY_LIMIT - len(request))))

    def answer() -> dict[str, object]:
        try:
            return dict(json.loads(stage.post(stage.bus, "/", request.encode(), {})[1]))
        except OSError:
            return {}

    assert echo.next() == body
    eventually(lambda: answer().get("body") == "y" * BODY_LIMIT, "the program hears all that the URL says")
    assert base64.b64decode(echo.next()) == request.encode()  # as a genuine router hands it on


@pytest.mark.slow
def test_a_thousand_messages_of_an_edge_that_is_cut_off_arrive_in_order_whoever_is_killed(tmp_path: Path) -> None:
    stage = RuleStage(tmp_path)
    with ending(stage.edge, stage.cloud):
        stage.start()
        stage.put(stage.upward())
        with serving(stage.service) as echo, paho(stage.mqtt) as client:
            eventually(lambda: _arrives(client, echo), "the rule acts")
            stage.cloud.kill()
            for number in range(1000):
                client.publish("default/test", b"%d" % number, qos=1)
            stage.edge.kill()
        stage.edge.start()
        stage.cloud.start()  # and the target is down
        stage.wait_ready()
        heard: list[tuple[bytes, str]] = []
        with serving(stage.service) as echo:
            while not heard or heard[-1][0] != b"999":
                heard.append(echo.bodies.get(timeout=PATIENCE))
    first = {key: body for body, key in heard if body != MESSAGE}
    assert list(first.values()) == [b"%d" % number for number in range(1000)]


def _arrives(client: Paho, echo: EchoServer) -> bool:
    client.publish("default/test", MESSAGE, qos=1)
    try:
        return echo.bodies.get(timeout=0.5)[0] == MESSAGE
    except queue.Empty:
        return False
