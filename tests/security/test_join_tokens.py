"""A join token gives nobody the name of a node that is there; one that is for that node does, as often as it says."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from kubeedge_actors.__main__ import main
from kubeedge_actors.apiserver import ApiServer, TlsFiles
from kubeedge_actors.assembly.revocation import NOT_READ, RevocationGate
from kubeedge_actors.drivers.bootstrap.join_gate import USED, JoinGate
from kubeedge_actors.drivers.bootstrap.revocations import Revocations
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.pki.bootstrap_tokens import TokenClaims, make_node_token, split_token
from kubeedge_actors.drivers.pki.worker_protocol import CreateCsr, execute
from kubeedge_actors.kubernetes.certificates.der import parse_certificate
from kubeedge_actors.kubernetes.certificates.info import Subject, node_subject
from kubeedge_actors.kubernetes.object_types import LEASE_KIND, NODE_KIND, SECRET_KIND
from kubeedge_actors.kubernetes.time import format_micro_time
from tests.support.fakes.bootstrap_cloud import Cloud, Reply
from tests.support.fakes.link_recorders import ClientRecorder, ServerRecorder
from tests.support.waiting import PATIENCE

NODE, NAMESPACE = "edge-9", "kubeedge"
ALIVE = f"node {NODE} has joined and is alive, so its name takes a token of its own: token --node {NODE}"


class GuardedCloud:
    """A bootstrap server over a cluster of its own."""

    def __init__(self, folder: Path) -> None:
        self.cluster = FakeCluster()
        self.revocations = Revocations(self.cluster, NAMESPACE)
        self.cloud = Cloud(folder, JoinGate(self.cluster, NAMESPACE, revocations=self.revocations))

    def joined(self, ready: str) -> None:
        """The Node is there, with this Ready condition."""
        node = {"metadata": {"name": NODE}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}
        self.cluster.create(NODE_KIND, "", node)
        self.cluster.patch(NODE_KIND, "", NODE, {"status": node["status"]}, subresource="status")

    def leased(self, age: float) -> None:
        """A Lease that the node renewed `age` seconds ago."""
        spec = {"holderIdentity": NODE, "renewTime": format_micro_time(time.time() - age)}
        self.cluster.create(LEASE_KIND, "kube-node-lease", {"metadata": {"name": NODE}, "spec": spec})

    def token(self, node: str = NODE, uses: int = 1, life: float = 3600.0) -> str:
        authority = self.cloud.authority
        return make_node_token(
            authority.ca_der, authority.ca_key_der, TokenClaims(time.time() + life, node, uses, issued_at=time.time())
        )

    def join(self, token: str, node: str = NODE) -> Reply:
        csr = execute(CreateCsr(node_subject(node))).cert
        jwt = ".".join(token.split(".")[1:])  # as a genuine edgecore does it
        return self.cloud.ask("/edge.crt", csr, Nodename=node, Authorization=f"Bearer {jwt}")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[GuardedCloud]:
    made = GuardedCloud(tmp_path)
    yield made
    made.cloud.stop()
    made.cluster.close()


def words(reply: Reply) -> str:
    return reply.body.decode().partition("err: ")[2]


@pytest.mark.parametrize("ready", ["True", "False"])
def test_any_token_does_not_give_the_name_of_a_node_that_is_there(guarded: GuardedCloud, ready: str) -> None:
    guarded.joined(ready)
    reply = guarded.join(guarded.cloud.authority.token())
    assert (reply.status, words(reply)) == (401, ALIVE)


def test_a_node_that_is_silent_joins_again_with_any_token(guarded: GuardedCloud) -> None:
    guarded.joined("Unknown")
    guarded.leased(41)
    assert guarded.join(guarded.cloud.authority.token()).status == 200


def test_a_young_lease_alone_says_that_a_node_is_there(guarded: GuardedCloud) -> None:
    guarded.leased(10)
    assert words(guarded.join(guarded.cloud.authority.token())) == ALIVE
    assert guarded.join(guarded.cloud.authority.token(), "edge-8").status == 200


def test_a_node_that_is_there_goes_on_renewing(guarded: GuardedCloud) -> None:
    guarded.joined("True")
    mine = guarded.cloud.authority.client_certificate(NODE, node_subject(NODE))
    csr = execute(CreateCsr(node_subject(NODE))).cert
    assert guarded.cloud.ask("/edge.crt", csr, certificate=mine, Nodename=NODE).status == 200


def test_an_old_certificate_for_any_node_is_no_better_than_a_token(guarded: GuardedCloud) -> None:
    guarded.joined("True")
    legacy = guarded.cloud.authority.client_certificate("legacy", Subject("kubeedge.io", "KubeEdge"))
    csr = execute(CreateCsr(node_subject(NODE))).cert
    assert words(guarded.cloud.ask("/edge.crt", csr, certificate=legacy, Nodename=NODE)) == ALIVE


def test_a_nodes_own_token_serves_so_often_and_for_nobody_else(guarded: GuardedCloud) -> None:
    guarded.joined("True")
    token = guarded.token(uses=2)
    other = guarded.join(token, "edge-8")
    assert (other.status, words(other)) == (401, f"the token is for node {NODE}, not for edge-8")
    assert [guarded.join(token).status for _ in range(2)] == [200, 200]
    spent = guarded.join(token)
    assert (spent.status, words(spent)) == (401, f"the token for node {NODE} has been used 2 times: make another")
    assert guarded.join(guarded.token()).status == 200


def test_a_request_that_is_refused_costs_no_use(guarded: GuardedCloud) -> None:
    token = guarded.token()
    _, jwt = split_token(token)
    assert guarded.cloud.ask("/edge.crt", b"nonsense", Nodename=NODE, Authorization=f"Bearer {jwt}").status == 500
    assert guarded.join(token).status == 200


def test_what_a_token_says_can_not_be_changed(guarded: GuardedCloud) -> None:
    general, own = guarded.cloud.authority.token().split("."), guarded.token().split(".")
    reply = guarded.join(".".join((*general[:2], own[2], general[3])))
    assert (reply.status, words(reply)) == (401, "token signature is invalid: signature is invalid")


def test_uses_are_counted_across_replicas(guarded: GuardedCloud, tmp_path: Path) -> None:
    """Many at once, through two replicas that have one CA and one cluster: exactly as many get in as the token says."""
    second = Cloud(tmp_path, JoinGate(guarded.cluster, NAMESPACE))  # the same files, so the same CA
    token, statuses = guarded.token(uses=3), []
    csr = execute(CreateCsr(node_subject(NODE))).cert

    def join(cloud: Cloud) -> None:
        statuses.append(
            cloud.ask("/edge.crt", csr, Nodename=NODE, Authorization=f"Bearer {split_token(token)[1]}").status
        )

    asking = [threading.Thread(target=join, args=(cloud,)) for cloud in (guarded.cloud, second) * 4]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    second.stop()
    assert sorted(statuses) == [200] * 3 + [401] * 5


def test_what_has_ended_is_not_kept(guarded: GuardedCloud) -> None:
    secret = {"metadata": {"name": USED}, "data": {"old": "MSAxMA=="}}  # "1 10": long ago
    guarded.cluster.create(SECRET_KIND, NAMESPACE, secret)
    assert guarded.join(guarded.token()).status == 200
    kept = guarded.cluster.get(SECRET_KIND, NAMESPACE, USED)["data"]
    assert len(kept) == 1 and "old" not in kept


def test_the_command_makes_a_token_for_a_node(
    guarded: GuardedCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", "--data-dir", str(tmp_path), "--node", NODE, "--uses", "1", "--ttl", "30m"]) == 0
    token = capsys.readouterr().out.strip()
    guarded.joined("True")
    assert [guarded.join(token).status for _ in range(2)] == [200, 401]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--node", "Not_A_Name"], "is no name of a node"),
        (["--node", NODE, "--ttl", "soon"], "--ttl: 'soon' is no time of the form 90s, 30m, 1h, 7d"),
        (["--node", NODE, "--uses", "0"], "--uses: 0 is no whole number above 0"),
        (["--node", NODE], "ca.crt can not be read"),
    ],
)
def test_the_command_says_in_a_sentence_what_is_wrong(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", "--data-dir", str(tmp_path), *options]) != 0
    said = capsys.readouterr().err
    assert sentence in said and len(said.strip().splitlines()) == 1


# --- revoked


def test_what_a_revoked_node_has_is_good_for_nothing(guarded: GuardedCloud) -> None:
    guarded.joined("Unknown")
    mine = guarded.cloud.authority.client_certificate(NODE, node_subject(NODE))
    csr = execute(CreateCsr(node_subject(NODE))).cert
    before = guarded.token()
    revocations = Revocations(guarded.cluster, NAMESPACE)
    revocations.revoke(NODE)
    guarded.revocations.refresh()  # as every replica does by itself
    renewed = guarded.cloud.ask("/edge.crt", csr, certificate=mine, Nodename=NODE)
    assert (renewed.status, words(renewed).partition(":")[0]) == (401, f"the certificate of node {NODE} was revoked")
    for token in (guarded.cloud.authority.token(), before):
        refused = guarded.join(token)
        assert (refused.status, words(refused).partition(":")[0]) == (
            401,
            f"node {NODE} was revoked",
        )
    other = guarded.cloud.authority.client_certificate("edge-8", node_subject("edge-8"))
    csr8 = execute(CreateCsr(node_subject("edge-8"))).cert
    assert guarded.cloud.ask("/edge.crt", csr8, certificate=other, Nodename="edge-8").status == 200


def test_a_revoked_node_joins_again_with_a_newer_token_of_its_own(guarded: GuardedCloud) -> None:
    first = parse_certificate(guarded.join(guarded.token()).body)
    Revocations(guarded.cluster, NAMESPACE).revoke(NODE)
    second = parse_certificate(guarded.join(guarded.token()).body)
    replica = Revocations(guarded.cluster, NAMESPACE)
    replica.refresh()
    assert replica.refusal(NODE, first.serial, first.not_before)
    assert replica.refusal(NODE, second.serial, second.not_before) == ""
    Revocations(guarded.cluster, NAMESPACE).revoke(NODE)
    replica.refresh()
    assert replica.refusal(NODE, second.serial, second.not_before)


def test_a_live_session_ends_and_does_not_come_back(guarded: GuardedCloud, tmp_path: Path) -> None:
    """At the message channel and the tunnels, which are one server: with real TLS."""
    server, told = WebSocketServer(), ServerRecorder()
    revocations, _ = RevocationGate(tmp_path, (server, None)).watch(guarded.cluster)
    port = server.start("127.0.0.1", 0, guarded.cloud.tls, told)
    mine = guarded.cloud.authority.client_certificate(NODE, node_subject(NODE))
    links, url = WebSocketLinks(), f"wss://127.0.0.1:{port}/x"
    try:
        live = ClientRecorder()
        links().open(url, {}, mine, live)
        live.next("open")
        server.close_refused()
        revocations.revoke(NODE)
        server.close_refused()
        live.next("close")
        again = ClientRecorder()
        links().open(url, {}, mine, again)
        assert f"the certificate of node {NODE} was revoked" in str(again.next("close"))
    finally:
        server.stop()


def test_a_revoked_certificate_ends_at_the_embedded_api_too(guarded: GuardedCloud, tmp_path: Path) -> None:
    """The next request on an open connection is refused, an idle one ends, and a new one is refused too."""
    gate, tls = RevocationGate(tmp_path, ()), guarded.cloud.tls
    files = TlsFiles(Path(tls.cert), Path(tls.key), Path(tls.ca))
    api = ApiServer(database=":memory:", port=0, tls=files, refusal=gate.refusal)
    gate.attach(api)
    api.start()

    def status(connection: http.client.HTTPSConnection) -> tuple[int, str]:
        connection.request("GET", "/api")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    authority = guarded.cloud.authority
    mine = authority.client_certificate(NODE, node_subject(NODE))
    other = authority.client_certificate("edge-8", node_subject("edge-8"))
    try:
        with ExitStack() as stack:

            def dialled(certificate: TlsPaths) -> http.client.HTTPSConnection:
                context = guarded.cloud.context(certificate)
                dialled = http.client.HTTPSConnection("127.0.0.1", api.port, timeout=PATIENCE, context=context)
                return stack.enter_context(closing(dialled))

            first = status(dialled(mine))
            assert first[0] == 401 and NOT_READ in first[1]
            revocations, _ = gate.watch(guarded.cluster)
            idle, open_one = dialled(mine), dialled(mine)
            assert (status(idle)[0], status(open_one)[0], status(dialled(other))[0]) == (200, 200, 200)
            revocations.revoke(NODE)
            refused = status(open_one)
            assert refused[0] == 401 and f"the certificate of node {NODE} was revoked" in refused[1]
            api.close_refused()
            assert idle.sock is not None and idle.sock.recv(1) == b""
            assert (status(dialled(mine))[0], status(dialled(other))[0]) == (401, 200)
    finally:
        api.stop()


def test_a_cloud_that_starts_without_the_api_knows_what_was_revoked(guarded: GuardedCloud, tmp_path: Path) -> None:
    cache = tmp_path / "revoked.json"
    known = Revocations(guarded.cluster, NAMESPACE, cache)
    known.revoke(NODE)
    assert Revocations(FakeCluster(), NAMESPACE, cache).refusal(NODE, 1, 0.0)
    assert known.refusal("edge-8", 1, 0.0) == ""
