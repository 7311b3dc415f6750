"""Requests and streams of the real client against a server that misbehaves by script, with and without TLS."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.cluster.base import is_temporary
from kubeedge_actors.drivers.cluster.client_config import ClientConfig, from_kubeconfig, in_cluster_config
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster, resource_path
from kubeedge_actors.drivers.cluster.transport import Transport
from kubeedge_actors.drivers.pki import x509
from kubeedge_actors.drivers.pki.base import KeyPair
from kubeedge_actors.errors import ClusterError, NotFound, Unreachable, UsageError
from kubeedge_actors.kubernetes.certificates.info import CLIENT_AUTH, SERVER_AUTH, Subject
from kubeedge_actors.kubernetes.object_types import POD_KIND, ResourceKind
from tests.support.waiting import PATIENCE

Step = Callable[[socket.socket, bytes], None]


class Server:
    """Accepts connections; each request goes to the next step of the script, which answers or breaks something."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._context = context
        self.steps: list[Step] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed: the test is over
            while True:
                plain, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(plain,), daemon=True))
                self._threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the peer left or was refused: that is what the test is about
            held = self._context.wrap_socket(plain, server_side=True) if self._context else plain
            self._open.append(held)
            self.connections += 1
            with held:
                while request := _read(held):
                    self.requests.append(request)
                    self.steps.pop(0)(held, request)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for held in self._open:
            with contextlib.suppress(OSError):  # closed already
                held.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)


def _read(held: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (chunk := held.recv(65536)):
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.split(b":")[1]):
                body += held.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(body: bytes, status: str = "200 OK", extra: str = "") -> Step:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return lambda held, request: held.sendall(head.encode() + body)


def hang_up(held: socket.socket, request: bytes) -> None:
    held.shutdown(socket.SHUT_RDWR)
    held.close()


def send_and_hang_up(held: socket.socket, data: bytes) -> None:
    held.sendall(data)
    hang_up(held, b"")


def say_nothing(held: socket.socket, request: bytes) -> None:
    """Leave the client without an answer."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def transport(server: Server) -> Iterator[Transport]:
    made = Transport(ClientConfig(url=f"http://127.0.0.1:{server.port}/prefix/", token="secret"), timeout=PATIENCE)
    yield made
    made.close()


def test_a_connection_is_kept_for_the_next_request(server: Server, transport: Transport) -> None:
    server.steps += [answer(b"{}"), answer(b"[]", "404 Not Found")]
    assert transport.request("GET", "/a") == (200, b"{}")
    assert transport.request("POST", "/b", b"{}", "application/json") == (404, b"[]")
    assert server.connections == 1
    assert server.requests[0].startswith(b"GET /prefix/a HTTP/1.1\r\n")
    assert b"Authorization: Bearer secret" in server.requests[0]
    assert b"Content-Type: application/json" in server.requests[1]


def test_a_kept_connection_that_the_server_closed_is_replaced_unnoticed(server: Server, transport: Transport) -> None:
    closed = threading.Event()

    def answer_and_close(held: socket.socket, request: bytes) -> None:
        answer(b"1")(held, request)
        hang_up(held, request)
        closed.set()

    server.steps += [answer_and_close, answer(b"2")]
    assert transport.request("GET", "/")[1] == b"1"
    assert closed.wait(PATIENCE)
    assert transport.request("POST", "/", b"{}", "application/json")[1] == b"2"
    assert server.connections == 2


@pytest.mark.parametrize(
    "step",
    [
        hang_up,
        lambda held, request: held.sendall(b"SMTP ready\r\n\r\n"),
        lambda held, request: send_and_hang_up(held, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        say_nothing,
    ],
    ids=["hangs up", "is no HTTP server", "breaks off", "says nothing"],
)
def test_a_server_that_fails_is_unreachable_and_its_connection_not_used_again(server: Server, step: Step) -> None:
    transport = Transport(ClientConfig(url=f"http://127.0.0.1:{server.port}"), timeout=PATIENCE)
    server.steps += [step, answer(b"{}")]
    if step is say_nothing:
        transport._timeout = 0.2
    with pytest.raises(Unreachable) as caught:
        transport.request("GET", "/")
    transport._timeout = PATIENCE
    assert f"http://127.0.0.1:{server.port}" in str(caught.value)
    assert transport.request("GET", "/") == (200, b"{}")
    transport.close()


def test_a_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        Transport(ClientConfig(url=f"http://127.0.0.1:{port}")).request("GET", "/")


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_stream_gives_whole_lines_however_they_are_cut(server: Server, transport: Transport) -> None:
    server.steps.append(
        lambda held, request: held.sendall(STREAM + chunks(b'{"a":', b"1}\n\n{", b"}\n[", b"]\n") + b"0\r\n\r\n")
    )
    with transport.stream("/watch") as stream:
        assert stream.status == 200
        assert list(stream.lines(5.0)) == [b'{"a":1}', b"{}", b"[]"]


def test_a_silent_or_broken_stream_is_unreachable(server: Server, transport: Transport) -> None:
    server.steps += [
        lambda held, request: held.sendall(STREAM),
        lambda held, request: send_and_hang_up(held, STREAM + b"5\r\nab"),
        lambda held, request: held.sendall(STREAM + chunks(b'{"a":') + b"0\r\n\r\n"),
    ]
    for silence in (0.05, 5.0, 5.0):
        with transport.stream("/watch") as stream, pytest.raises(Unreachable):
            list(stream.lines(silence))


def test_a_stream_is_ended_from_another_thread(server: Server, transport: Transport) -> None:
    server.steps.append(lambda held, request: held.sendall(STREAM + chunks(b"1\n")))
    got: list[bytes] = []
    first, ended = threading.Event(), threading.Event()

    with transport.stream("/watch") as stream:

        def read() -> None:
            with contextlib.suppress(Unreachable):  # how the end is told does not matter here
                for line in stream.lines(60.0):
                    got.append(line)
                    first.set()
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert first.wait(PATIENCE)
        stream.close()
        assert ended.wait(PATIENCE)
        reader.join(PATIENCE)
    assert got == [b"1"]


def test_a_token_file_is_read_at_the_time_of_the_request(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    transport = Transport(ClientConfig(url=f"http://127.0.0.1:{server.port}", token_file=token))
    with pytest.raises(Unreachable):
        transport.request("GET", "/")
    token.write_text("fresh\n")
    server.steps.append(answer(b"{}"))
    transport.request("GET", "/")
    assert b"Authorization: Bearer fresh\r\n" in server.requests[0]
    transport.close()


# --- TLS --------------------------------------------------------------------------------------------------------


def write_pems(pair: KeyPair, folder: Path, name: str) -> tuple[bytes, bytes]:
    certificate = ssl.DER_cert_to_PEM_cert(pair.cert).encode()
    body = base64.encodebytes(pair.key)
    key = b"-----BEGIN EC PRIVATE KEY-----\n" + body + b"-----END EC PRIVATE KEY-----\n"
    (folder / f"{name}.crt").write_bytes(certificate)
    (folder / f"{name}.key").write_bytes(key)
    return certificate, key


class Certificates:
    """A CA with a server and a client, as files and as PEM."""

    def __init__(self, folder: Path) -> None:
        now = time.time()
        authority = x509.new_authority(now)
        server = x509.issue(authority, Subject("api", "test"), (SERVER_AUTH,), ["127.0.0.1"], 1, now)
        client = x509.issue(authority, Subject("admin", "system:masters"), (CLIENT_AUTH,), [], 1, now)
        self.folder = folder
        self.ca, _ = write_pems(authority, folder, "ca")
        self.stranger, _ = write_pems(x509.new_authority(now), folder, "stranger")
        write_pems(server, folder, "server")
        self.client = write_pems(client, folder, "client")

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        context.load_verify_locations(self.folder / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def secure(certificates: Certificates) -> Iterator[Server]:
    made = Server(certificates.context())
    yield made
    made.close()


def kubeconfig(certificates: Certificates, port: int, inline: bool) -> Path:
    def entry(key: str, file: str) -> str:
        text = base64.b64encode((certificates.folder / file).read_bytes()).decode()
        return f"{key}-data: {text}" if inline else f"{key}: {file}"

    path = certificates.folder / "kubeconfig"
    path.write_text(
        f"""apiVersion: v1
kind: Config
current-context: here
contexts:
- {{name: there, context: {{cluster: none, user: none}}}}
- {{name: here, context: {{cluster: c, user: u}}}}
clusters:
- name: c
  cluster:
    server: https://127.0.0.1:{port}
    {entry("certificate-authority", "ca.crt")}
users:
- name: u
  user:
    {entry("client-certificate", "client.crt")}
    {entry("client-key", "client.key")}
"""
    )
    return path


@pytest.mark.parametrize("inline", [True, False], ids=["inline data", "files beside it"])
def test_a_kubeconfig_with_client_certificates_opens_the_api(
    secure: Server, certificates: Certificates, inline: bool
) -> None:
    secure.steps.append(answer(b'{"metadata":{"name":"p"}}'))
    cluster = KubernetesCluster(from_kubeconfig(kubeconfig(certificates, secure.port, inline)))
    assert cluster.get(POD_KIND, "default", "p")["kind"] == "Pod"
    assert secure.requests[0].startswith(b"GET /api/v1/namespaces/default/pods/p HTTP/1.1")
    cluster.close()


def test_a_server_of_another_ca_is_unreachable(secure: Server, certificates: Certificates) -> None:
    config = ClientConfig(f"https://127.0.0.1:{secure.port}", certificates.stranger, *certificates.client)
    with pytest.raises(Unreachable, match="certificate verify failed"):
        Transport(config).request("GET", "/")


def test_verification_can_be_switched_off_on_demand(secure: Server, certificates: Certificates) -> None:
    secure.steps.append(answer(b"{}"))
    config = ClientConfig(f"https://127.0.0.1:{secure.port}", b"", *certificates.client, verify=False)
    transport = Transport(config)
    assert transport.request("GET", "/")[0] == 200
    transport.close()


def test_certificates_that_are_none_are_a_users_mistake() -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        Transport(ClientConfig("https://127.0.0.1:1", ca=b"no PEM"))


# --- what the client makes of answers ---------------------------------------------------------------------------


@pytest.fixture
def cluster(server: Server) -> Iterator[KubernetesCluster]:
    made = KubernetesCluster(ClientConfig(url=f"http://127.0.0.1:{server.port}"))
    yield made
    made.close()


def test_a_failure_without_a_status_keeps_its_words(server: Server, cluster: KubernetesCluster) -> None:
    server.steps += [answer(b"404 page not found\n", "404 Not Found"), answer(b"<html>bad gateway", "502 Bad Gateway")]
    with pytest.raises(NotFound, match="404 page not found"):
        cluster.get(POD_KIND, "default", "p")
    with pytest.raises(ClusterError, match="bad gateway") as caught:
        cluster.get(POD_KIND, "default", "p")
    assert is_temporary(caught.value)


def test_an_answer_that_is_no_object_is_an_error(server: Server, cluster: KubernetesCluster) -> None:
    server.steps.append(answer(b"[1]"))
    with pytest.raises(ClusterError, match="no JSON object"):
        cluster.get(POD_KIND, "default", "p")


def test_pages_are_followed_and_listed_again_when_they_expire(server: Server, cluster: KubernetesCluster) -> None:
    first = answer(b'{"metadata":{"resourceVersion":"7","continue":"more"},"items":[{"metadata":{"name":"a"}}]}')
    second = answer(b'{"metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"b"}}]}')
    server.steps += [first, second]
    listing = cluster.list(POD_KIND, labels="a in (b,c)")
    assert ([item["metadata"]["name"] for item in listing.items], listing.version) == (["a", "b"], "7")
    assert listing.items[0]["kind"] == "Pod"
    assert b"GET /api/v1/pods?labelSelector=a+in+%28b%2Cc%29&limit=500 " in server.requests[0]
    assert b"&continue=more " in server.requests[1]
    server.steps += [first, answer(b'{"code":410,"reason":"Expired"}', "410 Gone"), second]
    assert [item["metadata"]["name"] for item in cluster.list(POD_KIND).items] == ["b"]
    assert b"limit" not in server.requests[-1]


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_cannot_leave_its_path(name: str) -> None:
    with pytest.raises(ClusterError):
        resource_path(POD_KIND, "default", name)


def test_names_are_quoted() -> None:
    kind = ResourceKind("g.io", "v1", "things", "Thing")
    assert (
        resource_path(kind, "a/b", "../c?d=e#f", "status")
        == "/apis/g.io/v1/namespaces/a%2Fb/things/..%2Fc%3Fd%3De%23f/status"
    )


# --- kubeconfig files -------------------------------------------------------------------------------------------

CLUSTERS = "clusters: [{name: c, cluster: {server: 'https://h:1'}}]\n"
CONTEXT = "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is no mapping"),
        ("a: [", "is not YAML"),
        ("a: b", "names no current context"),
        ("current-context: x", "no entry 'x' in `contexts`"),
        (CONTEXT, "no entry 'c' in `clusters`"),
        (CONTEXT + CLUSTERS, "no entry 'u' in `users`"),
        (CONTEXT + CLUSTERS + "users: [{name: u, user: {exec: {args: [a]}}}]", "`exec` names no command"),
        (
            CONTEXT + CLUSTERS + "users: [{name: u, user: {exec: {command: a, interactiveMode: Always}}}]",
            "wants to ask a person",
        ),
        (
            CONTEXT + CLUSTERS + "users: [{name: u, user: {auth-provider: {name: gcp}}}]",
            "`auth-provider` is not supported",
        ),
        (CONTEXT + CLUSTERS + "users: [{name: u, user: {client-key-data: '%'}}]", "is not base64"),
        (CONTEXT + CLUSTERS + "users: [{name: u, user: {client-key: none.pem}}]", "cannot read .*none.pem"),
        (CONTEXT + "clusters: [{name: c, cluster: {server: ftp}}]\nusers: [{name: u}]", "has no `server`"),
    ],
)
def test_a_wrong_kubeconfig_is_named_with_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(UsageError, match=complaint) as caught:
        from_kubeconfig(path)
    assert str(path) in str(caught.value) or "none.pem" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*nowhere: No such file"):
        from_kubeconfig(tmp_path / "nowhere")


def test_another_context_token_and_basic_credentials_are_read(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    users = "users: [{name: u, user: {token: t}}, {name: b, user: {username: me, password: pw}}]\n"
    other = "contexts: [{name: y, context: {cluster: c, user: b}}, {name: x, context: {cluster: c, user: u}}]\n"
    path.write_text("current-context: x\n" + other + CLUSTERS + users)
    assert from_kubeconfig(path).token == "t"
    basic = from_kubeconfig(path, "y")
    assert (basic.username, basic.password, basic.url) == ("me", "pw", "https://h:1")
    assert "pw" not in repr(basic)


def test_inside_a_pod_the_service_account_is_used(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(b"PEM")
    (tmp_path / "token").write_text("t")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    config = in_cluster_config(tmp_path, environment)
    assert (config.url, config.ca, config.token_file) == ("https://[fd00::1]:443", b"PEM", tmp_path / "token")
    with pytest.raises(UsageError, match="not a pod"):
        in_cluster_config(tmp_path, {})
