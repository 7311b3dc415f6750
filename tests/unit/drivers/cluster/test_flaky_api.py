"""Whatever the API does to requests and watches, in the end a watch has told what there is, each object in order."""

from __future__ import annotations

import random
import socket
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kubeedge_actors.drivers.cluster import auth_headers
from kubeedge_actors.drivers.cluster import kubernetes as driver
from kubeedge_actors.drivers.cluster.auth_headers import AuthHeaders
from kubeedge_actors.drivers.cluster.base import EventType, is_temporary
from kubeedge_actors.drivers.cluster.client_config import ClientConfig, ExecPlugin, from_kubeconfig
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.drivers.cluster.transport import Transport
from kubeedge_actors.errors import ClusterError, Conflict, Forbidden, NotFound, Unreachable
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND, POD_KIND
from tests.support.clusters import Listener, config
from tests.support.fakes.flaky_api import WORSE, flaky_cluster
from tests.support.waiting import PATIENCE
from tests.unit.drivers.cluster.test_transport import Server, answer, hang_up, server

__all__ = ["server"]

BUSY = answer(b'{"kind":"Status","code":429,"reason":"TooManyRequests"}', "429 Too Many Requests", "Retry-After: 0\r\n")
UNAUTHORIZED = answer(b'{"kind":"Status","code":401,"reason":"Unauthorized"}', "401 Unauthorized")
FORBIDDEN = answer(
    b'{"kind":"Status","code":403,"reason":"Forbidden","message":"clusterrole not found"}', "403 Forbidden"
)
FINE = answer(b'{"metadata":{"name":"p"}}')


def told(listener: Listener) -> dict[str, str]:
    """What somebody believes who hears it all: name -> version. Fails when it contradicts itself."""
    known: dict[str, str] = {}
    for change in listener.changes:
        name, version = change.object["metadata"]["name"], change.object["metadata"]["resourceVersion"]
        assert (name in known) is (change.type is not EventType.ADDED), change
        if change.type is EventType.DELETED:
            del known[name]
        else:
            assert int(version) > int(known.get(name, "0"))
            known[name] = version
    return known


def test_after_a_storm_of_writes_and_failures_the_picture_is_right() -> None:
    chance = random.Random(7)
    with flaky_cluster(WORSE) as cluster:
        listener = Listener()
        watch = cluster.watch(CONFIGMAP_KIND, listener.on_change, listener.on_synced, namespace="default")
        for number in range(200):
            name = f"c{chance.randrange(12)}"
            try:
                if chance.random() < 0.3:
                    cluster.delete(CONFIGMAP_KIND, "default", name)
                else:
                    cluster.patch(CONFIGMAP_KIND, "default", name, {"data": {"n": str(number)}})
            except NotFound:
                cluster.create(CONFIGMAP_KIND, "default", config(name))
        last = cluster.create(CONFIGMAP_KIND, "default", config("last"))
        there = {
            obj["metadata"]["name"]: obj["metadata"]["resourceVersion"]
            for obj in cluster.list(CONFIGMAP_KIND, "default").items
        }
        assert there["last"] == last["metadata"]["resourceVersion"]
        listener.wait(lambda heard: told(heard) == there)
        assert {obj["metadata"]["name"] for obj in watch.all()} == set(there)


def test_a_busy_api_is_asked_again_when_it_says(server: Server) -> None:
    cluster = KubernetesCluster(ClientConfig(url=f"http://127.0.0.1:{server.port}"), timeout=PATIENCE)
    server.steps = [BUSY, BUSY, FINE]
    assert cluster.get(POD_KIND, "default", "p")["metadata"]["name"] == "p"
    server.steps = [BUSY] * 10
    with pytest.raises(ClusterError) as caught:
        cluster.get(POD_KIND, "default", "p")
    assert caught.value.code == 429 and len(server.requests) < 10
    cluster.close()


def test_one_that_wants_to_be_asked_much_later_is_not_waited_for(server: Server) -> None:
    cluster = KubernetesCluster(ClientConfig(url=f"http://127.0.0.1:{server.port}"), timeout=PATIENCE)
    server.steps = [answer(b"{}", "503 Service Unavailable", "Retry-After: 3600\r\n")]
    with pytest.raises(ClusterError):
        cluster.get(POD_KIND, "default", "p")
    cluster.close()


def plugin(folder: Path, script: str) -> Path:
    """A credential plugin."""
    path = folder / "plugin"
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


COUNTING = """
import json, os, pathlib, sys
file = pathlib.Path(sys.argv[1]); number = len(file.read_text()) + 1 if file.exists() else 1; file.write_text("x" * number)
asked = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
status = {"token": f"{os.environ['PREFIX']}-{number}", "expirationTimestamp": "2999-01-01T00:00:00Z"}
print(json.dumps({"apiVersion": asked["apiVersion"], "kind": "ExecCredential", "status": status}))
"""


def test_a_plugin_of_the_kubeconfig_gives_the_token_and_a_new_one_when_that_is_refused(
    server: Server, tmp_path: Path
) -> None:
    plugin(tmp_path, COUNTING)
    (tmp_path / "kubeconfig").write_text(
        "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
        f"clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{server.port}'}}}}]\n"
        "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin,"
        f" args: ['{tmp_path}/count'], env: [{{name: PREFIX, value: t}}]}}}}}}]\n"
    )
    transport = Transport(from_kubeconfig(tmp_path / "kubeconfig"), timeout=PATIENCE)
    server.steps = [FINE, FINE, UNAUTHORIZED, FINE]
    for _ in range(3):
        assert transport.request("GET", "/x")[0] == 200
    transport.close()
    sent = [line for request in server.requests for line in request.split(b"\r\n") if line.startswith(b"Authorization")]
    assert sent == [b"Authorization: Bearer t-1"] * 3 + [b"Authorization: Bearer t-2"]


def tokens_sent(server: Server) -> list[str]:
    """The bearer token of each request."""
    head = b"Authorization: Bearer "
    lines = (line for request in server.requests for line in request.split(b"\r\n"))
    return [line.removeprefix(head).decode() for line in lines if line.startswith(head)]


def test_who_asks_being_refused_is_nothing_final_for_what_is_asked(server: Server) -> None:
    cluster = KubernetesCluster(ClientConfig(url=f"http://127.0.0.1:{server.port}", token="t"), timeout=PATIENCE)
    server.steps = [FINE, UNAUTHORIZED]
    cluster.get(POD_KIND, "default", "p")
    with pytest.raises(ClusterError) as caught:
        cluster.get(POD_KIND, "default", "p")
    assert is_temporary(caught.value)
    cluster.close()


def test_a_token_that_stays_refused_is_not_tried_for_ever(server: Server) -> None:
    transport = Transport(ClientConfig(url=f"http://127.0.0.1:{server.port}", token="t"), timeout=PATIENCE)
    server.steps = [UNAUTHORIZED]
    assert transport.request("GET", "/x")[0] == 401
    transport.close()


def test_a_renewed_token_file_is_taken_when_the_old_token_is_refused(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old\n")
    transport = Transport(ClientConfig(url=f"http://127.0.0.1:{server.port}", token_file=path), timeout=PATIENCE)

    def renew(held: object, request: bytes) -> None:
        path.write_text("new\n")
        UNAUTHORIZED(held, request)  # type: ignore[arg-type]

    server.steps = [FINE, renew, FINE]
    assert [transport.request("GET", "/x")[0] for _ in range(2)] == [200, 200]
    transport.close()
    assert b"Bearer new" in server.requests[-1]


def test_a_token_file_that_is_empty_for_a_moment_makes_nobody_anonymous(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    monkeypatch.setattr(auth_headers, "FILE_LIFE", 0.0)
    transport = Transport(ClientConfig(url=f"http://127.0.0.1:{server.port}", token_file=path), timeout=PATIENCE)
    server.steps = [FINE, FINE, FINE]
    transport.request("GET", "/x")
    path.write_text("")  # `kubectl create token > file` before it has an answer
    transport.request("GET", "/x")
    path.write_text("new")
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + auth_headers.RENEWAL_INITIAL)
    transport.request("GET", "/x")
    assert tokens_sent(server) == ["old", "old", "new"]
    transport.close()


def test_an_empty_token_file_at_the_start_is_said_and_no_request_is_made(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("\n")
    with pytest.raises(Unreachable, match=r"the token for http://127.0.0.1:9 can not be read: .*token is empty"):
        Transport(ClientConfig(url="http://127.0.0.1:9", token_file=path)).request("GET", "/x")


def test_refusals_read_the_token_file_again_at_once_and_then_with_back_off(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now = tmp_path / "token", [1000.0]
    path.write_text("a")
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    transport = Transport(ClientConfig(url=f"http://127.0.0.1:{server.port}", token_file=path), timeout=PATIENCE)

    def renew(token: str) -> Callable[[socket.socket, bytes], None]:
        def step(held: socket.socket, request: bytes) -> None:
            path.write_text(token)
            FORBIDDEN(held, request)

        return step

    server.steps = [renew("b"), FORBIDDEN]
    assert transport.request("GET", "/x")[0] == 403, "b is not good either"
    server.steps = [renew("c")]
    assert transport.request("GET", "/x")[0] == 403, "not read again so soon"
    now[0] += auth_headers.RENEWAL_INITIAL
    server.steps = [FORBIDDEN, FINE]
    assert transport.request("GET", "/x")[0] == 200
    assert tokens_sent(server) == ["a", "b", "b", "b", "c"]
    transport.close()


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("import sys; print('who are you', file=sys.stderr); sys.exit(3)", "failed: who are you"),
        ("print('hello')", "gave no ExecCredential"),
        ('print(\'{"status":{"clientCertificateData":"x"}}\')', "gave no token"),
    ],
)
def test_a_plugin_that_fails_makes_the_api_unreachable_with_its_words(
    tmp_path: Path, script: str, complaint: str
) -> None:
    credentials = AuthHeaders(ClientConfig(url="http://x", command=ExecPlugin((str(plugin(tmp_path, script)),))))
    with pytest.raises(Unreachable, match=complaint):
        credentials.headers()


def test_a_plugin_that_is_not_there_is_named() -> None:
    with pytest.raises(Unreachable, match="the credential plugin nowhere-to-be-found can not be run"):
        AuthHeaders(ClientConfig(url="http://x", command=ExecPlugin(("nowhere-to-be-found",)))).headers()


def test_a_conflict_is_not_repeated(server: Server) -> None:
    cluster = KubernetesCluster(ClientConfig(url=f"http://127.0.0.1:{server.port}"), timeout=PATIENCE)
    server.steps = [answer(b'{"kind":"Status","code":409,"reason":"Conflict"}', "409 Conflict")]
    with pytest.raises(Conflict):
        cluster.patch(POD_KIND, "default", "p", {})
    cluster.close()


def test_what_an_api_server_forbids_that_has_just_come_up_may_be_tried_again_and_later_not(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = KubernetesCluster(ClientConfig(url=f"http://127.0.0.1:{server.port}", token="t"), timeout=PATIENCE)

    def refused() -> bool:
        with pytest.raises(Forbidden) as caught:
            cluster.get(POD_KIND, "default", "p")
        return is_temporary(caught.value)

    def away() -> None:
        server.steps.append(hang_up)
        with pytest.raises(Unreachable):
            cluster.get(POD_KIND, "default", "p")

    server.steps += [FORBIDDEN, FORBIDDEN]
    assert refused() and refused()
    away()
    server.steps.append(FORBIDDEN)
    assert refused(), "it was restarted"
    assert driver.SETTLING_SECONDS >= 60.0, "nothing is final before a minute of it"
    monkeypatch.setattr(driver, "SETTLING_SECONDS", 0.0)
    away()
    server.steps.append(FORBIDDEN)
    assert not refused(), "it has had its time"
    cluster.close()
