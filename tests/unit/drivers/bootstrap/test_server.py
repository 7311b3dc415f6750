"""The certificate bootstrap: each reply as the original's, but for the two cases in which ours is stricter."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubeedge_actors.drivers.bootstrap.handlers import Request
from kubeedge_actors.drivers.bootstrap.server import BootstrapServer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.pki.bootstrap_tokens import make_token
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.pki.worker_protocol import CreateCsr, execute
from kubeedge_actors.errors import CertificateError, LinkError
from kubeedge_actors.kubernetes.certificates.der import parse_certificate
from kubeedge_actors.kubernetes.certificates.info import Subject, node_subject
from tests.support.fakes.bootstrap_cloud import Cloud
from tests.support.plugins.hypothesis_profile import SLOW, examples
from tests.support.recordings import entries
from tests.support.waiting import PATIENCE

WORDS, BYTES = "text/plain; charset=utf-8", "application/octet-stream"


def csr(node: str = "edge-9") -> bytes:
    return execute(CreateCsr(node_subject(node))).cert


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    serving = Cloud(tmp_path)
    yield serving
    serving.stop()


# --- the table


def test_the_ca_is_given_to_everybody(cloud: Cloud) -> None:
    reply = cloud.ask("/ca.crt")
    assert (reply.status, reply.type, reply.body) == (200, BYTES, cloud.authority.ca_der)


def test_a_node_with_a_token_gets_its_certificate(cloud: Cloud) -> None:
    reply = cloud.ask("/edge.crt", csr(), Authorization=f"Bearer {cloud.jwt}", Nodename="edge-9")
    assert (reply.status, reply.type) == (200, BYTES)
    assert parse_certificate(reply.body).common_name == "system:node:edge-9"


def test_the_conversation_is_the_recorded_one(cloud: Cloud) -> None:
    lines = [entry["http"] for entry in entries("g_bootstrap")]
    for request, recorded in zip(lines[::2], lines[1::2], strict=True):
        method, path, _ = request["start"].split()
        headers: dict[str, Any] = dict(line.split(": ", 1) for line in request["headers"])
        headers.pop("Content-Length", None)
        if "Authorization" in headers:
            headers["Authorization"] = f"Bearer {cloud.jwt}"
        reply = cloud.ask(path, csr("edge-2") if request["body"] else None, method, **headers)
        assert f"HTTP/1.1 {reply.status} OK" == recorded["start"]
        assert reply.headers == [line.split(":")[0] for line in recorded["headers"]]
        assert reply.type == BYTES


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (None, "token validation failure, token is empty"),
        ("", "token validation failure, token is empty"),
        ("abc", "token validation failure, token cannot be split"),
        ("Bearer a b", "token validation failure, token cannot be split"),
        (
            "Bearer abc",
            "token validation failure, err: token is malformed: token contains an invalid number of segments",
        ),
    ],
)
def test_a_bad_token_is_answered_as_by_the_original(cloud: Cloud, header: str | None, words: str) -> None:
    headers: dict[str, Any] = {} if header is None else {"Authorization": header}
    assert cloud.ask("/edge.crt", csr(), Nodename="edge-9", **headers).words == (401, WORDS, words)


def test_an_expired_token_and_one_of_another_cloud_are_refused(cloud: Cloud) -> None:
    expired = make_token(cloud.authority.ca_der, cloud.authority.ca_key_der, 1000.0).partition(".")[2]
    foreign = make_token(cloud.authority.ca_der, b"another key", 2.0**40).partition(".")[2]
    for jwt, words in (
        (expired, "token has invalid claims: token is expired"),
        (foreign, "token signature is invalid: signature is invalid"),
    ):
        reply = cloud.ask("/edge.crt", csr(), Authorization=f"Bearer {jwt}", Nodename="edge-9")
        assert reply.words == (401, WORDS, f"token validation failure, err: {words}")


def test_what_is_no_request_for_a_certificate_is_an_error_of_the_server(cloud: Cloud) -> None:
    reply = cloud.ask("/edge.crt", b"nonsense", Authorization=f"Bearer {cloud.jwt}", Nodename="edge-9")
    assert reply.status == 500 and reply.type == WORDS
    beginning = "failed to sign certs for edgenode edge-9, err: fail to signCerts, err: failed to parse csr, err: "
    assert reply.body.decode().startswith(beginning)


def test_a_certificate_for_another_name_is_refused_where_the_original_gives_one(cloud: Cloud) -> None:
    wrong: list[dict[str, Any]] = [{"Nodename": "edge-8"}, {}, {"Nodename": "a b"}]
    for headers in wrong:
        reply = cloud.ask("/edge.crt", csr(), Authorization=f"Bearer {cloud.jwt}", **headers)
        assert reply.status == 401 and reply.type == WORDS


def test_a_node_renews_with_its_certificate_and_without_a_token(cloud: Cloud) -> None:
    mine = cloud.authority.client_certificate("edge-9", node_subject("edge-9"))
    reply = cloud.ask("/edge.crt", csr(), certificate=mine, Nodename="edge-9")
    assert (reply.status, parse_certificate(reply.body).common_name) == (200, "system:node:edge-9")


def test_a_node_can_not_use_its_certificate_for_another(cloud: Cloud) -> None:
    mine = cloud.authority.client_certificate("edge-8", node_subject("edge-8"))
    words = "failed to verify the certificate for edgenode: edge-9, err: "
    words += "request node name is not match with the certificate"
    for headers in ({}, {"Authorization": f"Bearer {cloud.jwt}"}):
        reply = cloud.ask("/edge.crt", csr(), certificate=mine, Nodename="edge-9", **headers)
        assert reply.words == (401, WORDS, words)
    assert cloud.ask("/edge.crt", csr("edge-9"), certificate=mine, Nodename="edge-8").status == 401


def test_an_administrators_certificate_is_no_nodes(cloud: Cloud) -> None:
    for subject in (Subject("system:node:edge-9", "system:masters"), Subject("kubernetes-admin", "system:masters")):
        other = cloud.authority.client_certificate(subject.common_name.replace(":", "-"), subject)
        assert cloud.ask("/edge.crt", csr(), certificate=other, Nodename="edge-9").status == 401


def test_the_originals_own_client_may_ask_for_any_node(cloud: Cloud) -> None:
    legacy = cloud.authority.client_certificate("legacy", Subject("kubeedge.io", "KubeEdge"))
    assert cloud.ask("/edge.crt", csr(), certificate=legacy, Nodename="edge-9").status == 200


def test_a_certificate_of_another_ca_ends_the_handshake_even_with_a_token(cloud: Cloud, tmp_path: Path) -> None:
    foreign = FileAuthority(tmp_path / "other", execute).client_certificate("edge-9", node_subject("edge-9"))
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        cloud.ask("/edge.crt", csr(), certificate=foreign, Authorization=f"Bearer {cloud.jwt}", Nodename="edge-9")


@pytest.mark.parametrize(
    ("path", "method", "status", "words"),
    [
        ("/node/known", "GET", 200, "Node found"),
        ("/node/unknown", "GET", 404, "Node not found"),
        ("/node/Not_A_Name", "GET", 400, "Node name is not valid"),
        ("/node/broken", "GET", 500, "Failed to query node information"),
        ("/nodeupgrade", "GET", 405, "405: Method Not Allowed"),
        ("/task/upgrade/name/t/node/n/status", "GET", 405, "405: Method Not Allowed"),
        ("/task/upgrade/name/t/node/n", "POST", 404, "404: Page Not Found"),
        ("/node/", "GET", 404, "404: Page Not Found"),
        ("/node/a/b", "GET", 404, "404: Page Not Found"),
        ("/edge.crt", "POST", 405, "405: Method Not Allowed"),
        ("/ca.crt", "DELETE", 405, "405: Method Not Allowed"),
        ("/", "GET", 404, "404: Page Not Found"),
        ("/ca.crt/", "GET", 404, "404: Page Not Found"),
        ("/../ca.crt", "GET", 404, "404: Page Not Found"),
    ],
)
def test_other_paths_and_methods_are_answered_as_by_the_original(
    cloud: Cloud, path: str, method: str, status: int, words: str
) -> None:
    assert cloud.ask(path, None, method).words == (status, WORDS, words)


REPORTS = ["/nodeupgrade", "/task/prepull/name/t1/node/edge-9/status"]


@pytest.mark.parametrize("path", REPORTS)
def test_a_report_of_a_task_that_was_not_given_here_is_taken_and_noted(cloud: Cloud, path: str) -> None:
    for body in (b'{"NodeName":"edge-9","Event":"Upgrade"}', b"{}", b"null", b'{"Reason":"' + b"x" * (2 << 20) + b'"}'):
        assert cloud.ask(path, body, "POST").words == (200, WORDS, "ok")


@pytest.mark.parametrize("path", REPORTS)
@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'"ok"', b"\xff", b"[" * 100_000])
def test_a_report_that_is_no_object_is_refused(cloud: Cloud, path: str, body: bytes) -> None:
    reply = cloud.ask(path, body, "POST")
    assert reply.status == 400 and b"marshal task info" in reply.body


@pytest.mark.parametrize("path", REPORTS)
def test_a_report_of_more_than_three_mebibytes_is_refused_in_the_originals_words(cloud: Cloud, path: str) -> None:
    reply = cloud.ask(path, b" " * ((3 << 20) + 1), "POST")
    assert reply.status == 400 and reply.body.endswith(b"can only be up to 1MB in size")


@pytest.mark.parametrize("usages", ["nonsense", "[1.5]", '["2"]', "{}", "[" * 2000])
def test_strange_key_usages_are_refused(cloud: Cloud, usages: str) -> None:
    reply = cloud.ask("/edge.crt", csr(), Authorization=f"Bearer {cloud.jwt}", Nodename="edge-9", Extkeyusages=usages)
    assert reply.status == 500 and reply.body.startswith(b"failed to unmarshal http header, err: ")


# --- HTTP and its enemies


def test_one_connection_may_ask_several_times(cloud: Cloud) -> None:
    connection = cloud.connect()
    for _ in range(3):
        connection.request("GET", "/ca.crt")
        assert connection.getresponse().read() == cloud.authority.ca_der
        connection.request("GET", "/edge.crt", csr(), {"Authorization": f"Bearer {cloud.jwt}", "Nodename": "edge-9"})
        assert connection.getresponse().read()[:1] == b"\x30"
    connection.close()


def test_a_body_of_more_than_a_mebibyte_is_not_read(cloud: Cloud) -> None:
    try:
        status = cloud.ask("/edge.crt", b"x" * (2 << 20), Authorization=f"Bearer {cloud.jwt}", Nodename="edge-9").status
    except ConnectionError:  # closed while we were still sending
        status = 413
    assert status == 413
    assert cloud.ask("/ca.crt").status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /ca.crt HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\n",
        b"GET /ca.crt HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 100_000,
        b"\x16\x03\x01\x00",
        b"\x00" * 1000,
    ],
)
def test_nonsense_is_answered_or_closed_and_the_next_one_is_served(cloud: Cloud, data: bytes) -> None:
    with (
        socket.create_connection(("127.0.0.1", cloud.port), PATIENCE) as tcp,
        cloud.context().wrap_socket(tcp, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(data)
        if data.endswith(b"\r\n"):
            assert tls.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 501")
    assert cloud.ask("/ca.crt").status == 200


def test_a_connection_that_only_opens_and_one_without_tls_harm_nobody(cloud: Cloud) -> None:
    with (
        socket.create_connection(("127.0.0.1", cloud.port), PATIENCE),
        socket.create_connection(("127.0.0.1", cloud.port), PATIENCE) as tcp,
    ):
        tcp.sendall(b"GET /ca.crt HTTP/1.1\r\n\r\n")
        assert cloud.ask("/ca.crt").status == 200


def test_tls_below_1_2_is_not_spoken(cloud: Cloud) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", cloud.port), PATIENCE) as tcp:
        context.wrap_socket(tcp, server_hostname="127.0.0.1")


def test_a_taken_port_is_one_sentence(cloud: Cloud) -> None:
    other = BootstrapServer(cloud.rules, cloud.loop)
    with pytest.raises(LinkError, match=f"port {cloud.port} of 127.0.0.1 can not be used: Address already in use"):
        other.start("127.0.0.1", cloud.port, cloud.tls)


def test_the_certificate_of_the_server_is_renewed_while_it_serves(cloud: Cloud) -> None:
    def shown(connection: http.client.HTTPSConnection) -> bytes:
        assert isinstance(connection.sock, ssl.SSLSocket)
        return connection.sock.getpeercert(binary_form=True) or b""

    old = cloud.connect()
    old.request("GET", "/ca.crt")
    assert old.getresponse().read() == cloud.authority.ca_der
    before = shown(old)
    cloud.server.reload_certificate(cloud.authority.server_certificate(["10.0.0.9"]))
    old.request("GET", "/ca.crt")  # this connection goes on
    assert old.getresponse().read() == cloud.authority.ca_der
    new = cloud.connect()
    new.request("GET", "/ca.crt")
    assert new.getresponse().read() == cloud.authority.ca_der
    assert shown(new) != before and "10.0.0.9" in parse_certificate(shown(new)).sans
    with pytest.raises(CertificateError):
        cloud.server.reload_certificate(TlsPaths(cloud.tls.ca, cloud.tls.ca, cloud.tls.key))
    assert cloud.ask("/ca.crt").status == 200
    old.close()
    new.close()


def test_stopping_twice_is_harmless(cloud: Cloud) -> None:
    cloud.server.stop()
    cloud.server.stop()
    with pytest.raises(OSError):
        cloud.ask("/ca.crt")


paths = st.sampled_from(["/ca.crt", "/edge.crt", "/node/n", "/nodeupgrade", "/task/a/name/b/node/c/status"]) | st.text()
tokens = st.sampled_from(["good", "expired", "foreign", "cut", "twice"]) | st.text()


@settings(max_examples=examples(300), suppress_health_check=[*SLOW, HealthCheck.function_scoped_fixture])
@given(
    path=paths,
    method=st.sampled_from(["GET", "POST", "PUT", ""]),
    body=st.binary(max_size=300),
    token=tokens,
    node=st.sampled_from(["edge-9", "", "../x"]) | st.text(),
    usages=st.sampled_from(["", "[2]", "[1,2]", "[" * 50_000]) | st.text(),
    name=st.sampled_from(["", "system:node:edge-9", "kubeedge.io"]) | st.text(),
)
def test_nothing_that_is_asked_upsets_the_server_or_gets_a_certificate(
    cloud: Cloud, path: str, method: str, body: bytes, token: str, node: str, usages: str, name: str
) -> None:
    jwts = {
        "good": cloud.jwt,
        "expired": make_token(cloud.authority.ca_der, cloud.authority.ca_key_der, 1000.0).partition(".")[2],
        "foreign": make_token(cloud.authority.ca_der, b"another key", 9e9).partition(".")[2],
        "cut": cloud.jwt[:-2],
        "twice": cloud.jwt + cloud.jwt,
    }
    headers = {"authorization": f"Bearer {jwts.get(token, token)}", "nodename": node, "extkeyusages": usages}
    reply = cloud.rules.answer(Request(method, path, headers, body, name, ("system:nodes", "KubeEdge")))
    assert reply.status in (200, 400, 401, 404, 405, 500)
    assert reply.status != 200 or path.partition("?")[0] != "/edge.crt"  # no body here is a request
    if path == "/edge.crt" and method == "GET" and not name and token != "good":
        assert reply.status == 401
