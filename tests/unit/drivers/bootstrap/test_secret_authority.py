"""Replicas of the cloud, ours and genuine ones, have one CA, one certificate of the servers and one token."""

from __future__ import annotations

import base64
import logging
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.bootstrap.secret_authority import SecretBackedAuthority
from kubeedge_actors.drivers.cluster.base import Cluster, Json
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.pki.base import KeyPair
from kubeedge_actors.drivers.pki.bootstrap_tokens import make_token
from kubeedge_actors.drivers.pki.file_authority import TOKEN_REFRESH, FileAuthority
from kubeedge_actors.drivers.pki.pem import read_certificate
from kubeedge_actors.drivers.pki.worker_protocol import CreateAuthority, IssueCertificate, execute
from kubeedge_actors.errors import CertificateError, ClusterError
from kubeedge_actors.kubernetes.certificates.der import parse_certificate
from kubeedge_actors.kubernetes.certificates.info import SERVER_AUTH, Subject
from kubeedge_actors.kubernetes.object_types import NAMESPACE_KIND, SECRET_KIND
from tests.support.clusters import DRIVERS

NOW = 1_800_000_000.0
NAMESPACE = "kubeedge"


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


Replica = tuple[FileAuthority, SecretBackedAuthority]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replica(tmp_path: Path, clock: Clock) -> Callable[[str, Cluster], Replica]:
    def make(name: str, cluster: Cluster) -> Replica:
        authority = FileAuthority(tmp_path / name, execute, clock)
        return authority, SecretBackedAuthority(authority, cluster, NAMESPACE)

    return make


@pytest.fixture(params=sorted(DRIVERS))
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with DRIVERS[request.param]() as made:
        yield made


@pytest.fixture
def fake() -> FakeCluster:
    return FakeCluster()


def data_of(cluster: Cluster, name: str) -> dict[str, bytes]:
    data: Json = cluster.get(SECRET_KIND, NAMESPACE, name)["data"]
    return {key: base64.b64decode(text) for key, text in data.items()}


def put(cluster: Cluster, name: str, **data: bytes) -> None:
    texts = {key: base64.b64encode(value).decode() for key, value in data.items()}
    cluster.create(SECRET_KIND, NAMESPACE, {"metadata": {"name": name, "namespace": NAMESPACE}, "data": texts})


def put_namespace(cluster: Cluster) -> None:
    cluster.create(NAMESPACE_KIND, "", {"metadata": {"name": NAMESPACE}})


Make = Callable[[str, Cluster], Replica]


def test_the_first_cloud_makes_the_secrets_with_the_originals_names_keys_and_forms(
    replica: Make, cluster: Cluster
) -> None:
    authority, shared = replica("a", cluster)
    assert shared.sync_ca() is False
    tls = shared.server_certificate(["10.0.0.7"])
    token = shared.token()
    assert data_of(cluster, "casecret") == {"cadata": authority.ca_der, "cakeydata": authority.ca_key_der}
    server = data_of(cluster, "cloudcoresecret")
    assert set(server) == {"cloudcoredata", "cloudcorekeydata"}
    assert parse_certificate(server["cloudcoredata"]) == read_certificate(Path(tls.cert))
    assert data_of(cluster, "tokensecret") == {"tokendata": token.encode()}
    assert cluster.get(SECRET_KIND, NAMESPACE, "casecret")["type"] == "Opaque"


def test_the_second_cloud_takes_all_three(replica: Make, cluster: Cluster) -> None:
    first, shared = replica("a", cluster)
    shared.sync_ca()
    tls, token = shared.server_certificate(["10.0.0.7"]), shared.token()
    second, other = replica("b", cluster)
    assert other.sync_ca() is True
    assert second.ca_pair == first.ca_pair
    same = other.server_certificate(["10.0.0.7"])
    assert Path(same.cert).read_bytes() == Path(tls.cert).read_bytes()
    assert Path(same.key).read_bytes() == Path(tls.key).read_bytes()
    assert other.token() == token


def test_a_cloud_under_another_address_adds_its_own_to_the_shared_certificate(replica: Make, fake: FakeCluster) -> None:
    _, first = replica("a", fake)
    first.sync_ca()
    first.server_certificate(["10.0.0.7"])
    _, second = replica("b", fake)
    second.sync_ca()
    both = read_certificate(Path(second.server_certificate(["10.0.0.8"]).cert)).sans
    assert set(both) == {"localhost", "127.0.0.1", "10.0.0.7", "10.0.0.8"}
    assert (
        read_certificate(Path(first.server_certificate(["10.0.0.7"]).cert)).sans == both
    )  # and stays so: nobody takes it back
    assert read_certificate(Path(second.server_certificate(["10.0.0.8"]).cert)).sans == both


def test_the_names_of_replicas_that_come_and_go_do_not_pile_up(replica: Make, fake: FakeCluster) -> None:
    _, shared = replica("a", fake)
    shared.sync_ca()
    for number in range(0, 150, 10):
        tls = shared.server_certificate([f"10.0.0.{number + part}" for part in range(10)])
    names = read_certificate(Path(tls.cert)).sans
    assert 60 <= len(names) <= 66
    assert {f"10.0.0.{number}" for number in range(100, 150)} <= set(names)


def test_what_a_genuine_cloudcore_has_made_is_taken(replica: Make, fake: FakeCluster) -> None:
    made = execute(CreateAuthority(NOW))
    ca = KeyPair(made.cert, made.key)
    names = ("localhost", "127.0.0.1", "10.0.0.7")
    server = execute(IssueCertificate(ca, Subject("KubeEdge", "KubeEdge"), (SERVER_AUTH,), names, 36400, NOW))
    token = make_token(ca.cert, ca.key, NOW + 2 * TOKEN_REFRESH)
    put_namespace(fake)
    put(fake, "casecret", cadata=ca.cert, cakeydata=ca.key)
    put(fake, "cloudcoresecret", cloudcoredata=server.cert, cloudcorekeydata=server.key)
    put(fake, "tokensecret", tokendata=token.encode())
    authority, shared = replica("a", fake)
    assert shared.sync_ca() is True
    shared.server_certificate(["10.0.0.7"])
    assert (authority.ca_pair, authority.server_pair()) == (ca, KeyPair(server.cert, server.key))
    assert shared.token() == token


def test_of_two_clouds_that_start_together_the_slower_takes_the_winners(replica: Make, fake: FakeCluster) -> None:
    first, shared = replica("a", fake)
    second, other = replica("b", fake)

    started: list[bool] = []
    create = fake.create

    def racing(*arguments: object, **more: object) -> Json:
        if not started:
            started.append(True)
            shared.sync_ca()
        return create(*arguments, **more)  # type: ignore[arg-type]

    fake.create = racing  # type: ignore[method-assign]
    assert other.sync_ca() is True
    assert second.ca_pair == first.ca_pair


def test_a_cloud_that_had_another_ca_says_so(
    replica: Make, fake: FakeCluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replica("a", fake)[1].sync_ca()
    replica("b", FakeCluster())[1].sync_ca()
    caplog.clear()
    authority, shared = replica("b", fake)
    assert shared.sync_ca() is True
    assert "takes the place of" in caplog.text and str(tmp_path / "b" / "ca.crt") in caplog.text
    assert (
        read_certificate(Path(shared.server_certificate().cert)).authority_key_id
        == parse_certificate(authority.ca_der).key_id
    )


def test_a_cloud_without_files_gets_its_ca_back_from_the_cluster_in_silence(
    replica: Make, fake: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    first, shared = replica("a", fake)
    shared.sync_ca()
    again, other = replica("empty", fake)
    assert other.sync_ca() is True
    assert again.ca_pair == first.ca_pair
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_server_certificate_that_ends_soon_is_made_anew_for_everybody(
    replica: Make, fake: FakeCluster, clock: Clock
) -> None:
    _, shared = replica("a", fake)
    shared.sync_ca()
    before = read_certificate(Path(shared.server_certificate().cert))
    clock.now = before.not_after - 1000.0
    after = read_certificate(Path(shared.server_certificate().cert))
    assert after.not_after > clock.now + 86400.0
    assert parse_certificate(data_of(fake, "cloudcoresecret")["cloudcoredata"]) == after


@pytest.mark.parametrize("spoilt", ["foreign", "damaged", "incomplete"])
def test_a_server_certificate_that_does_not_serve_is_replaced(replica: Make, fake: FakeCluster, spoilt: str) -> None:
    authority, shared = replica("a", fake)
    shared.sync_ca()
    other = execute(CreateAuthority(NOW))
    issued = execute(
        IssueCertificate(
            KeyPair(other.cert, other.key), Subject("KubeEdge", "KubeEdge"), (SERVER_AUTH,), ("localhost",), 9, NOW
        )
    )
    data = {
        "foreign": {"cloudcoredata": issued.cert, "cloudcorekeydata": issued.key},
        "damaged": {"cloudcoredata": b"nonsense", "cloudcorekeydata": b"nonsense"},
        "incomplete": {"cloudcoredata": issued.cert},
    }[spoilt]
    put(fake, "cloudcoresecret", **data)
    tls = shared.server_certificate()
    assert parse_certificate(data_of(fake, "cloudcoresecret")["cloudcoredata"]) == read_certificate(Path(tls.cert))
    assert read_certificate(Path(tls.cert)).authority_key_id == parse_certificate(authority.ca_der).key_id


def test_a_token_is_used_while_it_is_good_for_half_a_day_and_then_made_anew(
    replica: Make, fake: FakeCluster, clock: Clock
) -> None:
    authority, shared = replica("a", fake)
    shared.sync_ca()
    first = shared.token()
    clock.now += TOKEN_REFRESH - 60.0
    assert shared.token() == first
    clock.now += 120.0
    second = shared.token()
    assert second != first
    assert data_of(fake, "tokensecret")["tokendata"].decode() == second
    authority.check_token(first.partition(".")[2])  # whoever holds the old one may still join


def test_a_ca_that_is_exchanged_while_a_cloud_runs_is_said_and_the_rest_is_left_alone(
    replica: Make, fake: FakeCluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority, shared = replica("a", fake)
    shared.sync_ca()
    fake.delete(SECRET_KIND, NAMESPACE, "casecret")
    other = execute(CreateAuthority(NOW))
    put(fake, "casecret", cadata=other.cert, cakeydata=other.key)
    shared.write_token(tmp_path / "token")
    shared.server_certificate(["10.0.0.7"])
    assert caplog.text.count("restart this cloud") == 2
    authority.check_token((tmp_path / "token").read_text(encoding="ascii").strip().partition(".")[2])
    assert {secret["metadata"]["name"] for secret in fake.peek_all(SECRET_KIND)} == {"casecret"}


def test_a_ca_that_is_deleted_while_a_cloud_runs_is_put_back(replica: Make, fake: FakeCluster) -> None:
    authority, shared = replica("a", fake)
    shared.sync_ca()
    fake.delete(SECRET_KIND, NAMESPACE, "casecret")
    shared.token()
    assert data_of(fake, "casecret")["cadata"] == authority.ca_der


@pytest.mark.parametrize("text", [b"", b"nonsense", b"\xff\xfe", b"a.b.c.d"])
def test_a_token_that_is_none_is_replaced(replica: Make, fake: FakeCluster, text: bytes) -> None:
    authority, shared = replica("a", fake)
    shared.sync_ca()
    put(fake, "tokensecret", tokendata=text)
    authority.check_token(shared.token().partition(".")[2])


def test_the_token_file_is_the_owners_only(replica: Make, fake: FakeCluster, tmp_path: Path) -> None:
    _, shared = replica("a", fake)
    shared.sync_ca()
    shared.write_token(tmp_path / "token")
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert (tmp_path / "token").read_text(encoding="ascii").strip() == shared.token()


@pytest.mark.parametrize("data", [{}, {"cadata": b"x"}, {"cadata": b"nonsense", "cakeydata": b"nonsense"}])
def test_a_damaged_shared_ca_is_one_sentence_and_never_replaced(
    replica: Make, fake: FakeCluster, data: dict[str, bytes]
) -> None:
    put_namespace(fake)
    put(fake, "casecret", **data)
    authority, shared = replica("a", fake)
    before = authority.ca_pair
    with pytest.raises(CertificateError):
        shared.sync_ca()
    assert authority.ca_pair == before
    assert data_of(fake, "casecret") == data if data else True


def test_a_cloud_that_can_not_ask_starts_with_its_old_ca_but_makes_no_new_one(
    replica: Make, fake: FakeCluster, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    fake.down = True
    with pytest.raises(CertificateError, match="can not be asked"):
        replica("a", fake)[1].sync_ca()
    authority, shared = replica("a", fake)  # from its files, so not fresh
    assert shared.sync_ca() is False
    assert "can not be asked" in caplog.text
    assert Path(shared.server_certificate().cert).exists()
    shared.write_token(tmp_path / "token")
    authority.check_token((tmp_path / "token").read_text(encoding="ascii").strip().partition(".")[2])


def test_a_cloud_without_the_right_to_secrets_goes_on_alone_and_says_so(
    replica: Make, fake: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    fake.refuse = lambda request: ClusterError({"message": "secrets is forbidden", "reason": "Forbidden", "code": 403})
    authority, shared = replica("a", fake)
    assert shared.sync_ca() is False
    assert "secrets is forbidden" in caplog.text
    caplog.clear()
    shared.server_certificate()
    authority.check_token(shared.token().partition(".")[2])
    assert not caplog.records
