"""Who may what: client certificates, tokens, nobody; over TLS."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.apiserver import ApiServer, TlsFiles, User
from tests.support.api_client import ApiClient
from tests.support.api_recordings import assert_as_recorded, cases, replay
from tests.support.certificates import TestCa
from tests.support.kubectl import Kubectl, unfit

NAMESPACES = "/api/v1/namespaces"
ERRORS = cases("errors")


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    """A certificate authority."""
    return TestCa(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def secure(ca: TestCa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server that speaks TLS and knows one token."""
    files = ca.server("127.0.0.1", "localhost")
    server = ApiServer(
        database=tmp_path_factory.mktemp("api") / "apiserver.db",
        host="127.0.0.1",
        port=0,
        tls=TlsFiles(Path(files.cert), Path(files.key), Path(ca.path)),
        tokens={"secret": User("robot", ("system:masters",))},
    )
    server.start()
    yield server
    server.stop()


def client(server: ApiServer, ca: TestCa, name: str = "", organization: str = "system:masters") -> ApiClient:
    """A client; without a name it shows no certificate."""
    context = ssl.create_default_context(cafile=ca.path)
    if name:
        files = ca.client(name, organization)
        context.load_cert_chain(files.cert, files.key)
    return ApiClient(server.url, context)


def status(api: ApiClient, path: str, **headers: str) -> int:
    """The status of a GET."""
    code = api.call("GET", path, headers=headers).status
    api.close()
    return code


@pytest.mark.parametrize("path", ["/version", "/healthz", "/livez", "/readyz", "/version/"])
def test_anybody_may_ask_whether_it_lives(secure: ApiServer, ca: TestCa, path: str) -> None:
    assert status(client(secure, ca), path) == 200


@pytest.mark.parametrize("path", ["/api", "/apis", "/openapi/v2", "/metrics", NAMESPACES, "/apis/none.io/v1/x"])
def test_nobody_in_particular_may_nothing_else(secure: ApiServer, ca: TestCa, path: str) -> None:
    assert status(client(secure, ca), path) == 403


def test_nobody_in_particular_is_refused_as_recorded(secure: ApiServer, ca: TestCa) -> None:
    api = client(secure, ca)
    for name in ("401-bad", "401-none"):
        assert_as_recorded(replay(api, ERRORS[name]), ERRORS[name])
    api.close()


@pytest.mark.parametrize("name", ["403-imp", "403-create", "403-nonres"])
def test_whom_an_administrator_plays_is_refused_as_recorded(secure: ApiServer, ca: TestCa, name: str) -> None:
    api = client(secure, ca, "admin")
    assert_as_recorded(replay(api, ERRORS[name]), ERRORS[name])
    api.close()


def test_a_certificate_of_the_masters_may_everything_and_is_named(secure: ApiServer, ca: TestCa) -> None:
    files = ca.client("alice", "system:masters")
    context = ssl.create_default_context(cafile=ca.path)
    context.load_cert_chain(files.cert, files.key)
    api = ApiClient(secure.url, context)
    assert api.call("GET", NAMESPACES).status == 200
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    info = api.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)["status"]["userInfo"]
    api.close()
    assert (info["username"], info["groups"]) == ("alice", ["system:masters", "system:authenticated"])
    der = ssl.PEM_cert_to_DER_cert(Path(files.cert).read_text())
    identity = info["extra"]["authentication.kubernetes.io/credential-id"]
    assert identity == [f"X509SHA256={hashlib.sha256(der).hexdigest()}"]


def test_another_certificate_may_look_around_and_ask_what_it_may(secure: ApiServer, ca: TestCa) -> None:
    api = client(secure, ca, "bob", "people")
    assert api.call("GET", "/api").status == 200
    assert api.call("GET", NAMESPACES).status == 403
    spec = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    review = api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", spec)
    assert review["status"]["allowed"] is False
    rules = api.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {}})["status"]
    assert {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} not in rules["resourceRules"]
    api.close()


def test_a_certificate_of_another_authority_is_not_believed(secure: ApiServer, ca: TestCa, tmp_path: Path) -> None:
    stranger = TestCa(tmp_path, "stranger").client("alice", "system:masters")
    context = ssl.create_default_context(cafile=ca.path)
    context.load_cert_chain(stranger.cert, stranger.key)
    api = ApiClient(secure.url, context)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        api.call("GET", "/version")
    api.close()


def test_a_known_token_is_its_user(secure: ApiServer, ca: TestCa) -> None:
    assert status(client(secure, ca), NAMESPACES, Authorization="Bearer secret") == 200
    assert status(client(secure, ca), NAMESPACES, Authorization="Bearer other") == 401


def test_a_node_may_not_play_somebody_else(secure: ApiServer, ca: TestCa) -> None:
    api = client(secure, ca, "system:node:edge-1", "system:nodes")
    assert status(api, NAMESPACES, **{"Impersonate-User": "admin", "Impersonate-Group": "system:masters"}) == 403


def test_an_administrator_may_speak_for_a_node_about_what_nodes_use(secure: ApiServer, ca: TestCa) -> None:
    node = {"Impersonate-User": "system:node:edge-1", "Impersonate-Group": "system:nodes"}
    api = client(secure, ca, "admin")
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/edge-1"
    assert status(api, lease, **node) == 404
    assert status(api, lease.replace("edge-1", "edge-2"), **node) == 403
    assert status(api, NAMESPACES, **node) == 403
    itself = client(secure, ca, "system:node:edge-1", "system:nodes")
    assert status(itself, lease) == 403


@pytest.mark.kubectl
def test_kubectl_uses_the_administrators_kubeconfig(secure: ApiServer, ca: TestCa, tmp_path: Path) -> None:
    if why := unfit():
        pytest.skip(why)
    files = ca.client("admin", "system:masters")
    pems = [Path(path).read_bytes() for path in (ca.path, files.cert, files.key)]
    kubectl = Kubectl(tmp_path, secure.url, *pems)
    assert "default" in kubectl("get", "namespaces", "-o", "name")
    assert "system:masters" in kubectl("auth", "whoami")
