"""Joining from the edge's side: what is kept, what is asked for, and each way to fail as one sentence."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.bootstrap.certificate_manager import CertificateManager, has_joined
from kubeedge_actors.drivers.bootstrap.client import join
from kubeedge_actors.drivers.bootstrap.protocol import JoinRequest, JoinResult
from kubeedge_actors.drivers.bootstrap.server import BootstrapServer
from kubeedge_actors.drivers.link.base import CertificateSource
from kubeedge_actors.drivers.pki.bootstrap_tokens import make_token
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.pki.pem import read_certificate
from kubeedge_actors.drivers.pki.worker_protocol import execute
from kubeedge_actors.errors import CertificateError, LinkError
from tests.support.fakes.bootstrap_cloud import Cloud

DAY = 86400.0


def here(order: JoinRequest) -> JoinResult:
    """The work of the joining process, done in this one."""
    try:
        join(order)
    except CertificateError as error:
        return JoinResult(str(error), final=True)
    except LinkError as error:
        return JoinResult(str(error))
    return JoinResult()


class Edge:
    """A node's credentials, and how often its joining process was needed."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.folder = folder / "edge"
        self.cloud = cloud
        self.address = f"https://127.0.0.1:{cloud.port}"
        self.token = cloud.authority.token()
        self.orders: list[JoinRequest] = []
        self.now = time.time()

    def credentials(self, node: str = "n1", work: Callable[[JoinRequest], JoinResult] = here) -> CertificateManager:
        def counted(order: JoinRequest) -> JoinResult:
            self.orders.append(order)
            return work(order)

        return CertificateManager(self.folder, node, self.address, lambda: self.token, counted, lambda: self.now)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    serving = Cloud(tmp_path)
    yield serving
    serving.stop()


@pytest.fixture
def edge(tmp_path: Path, cloud: Cloud) -> Edge:
    return Edge(tmp_path, cloud)


def test_a_new_node_joins_once_and_keeps_its_files(edge: Edge) -> None:
    first = edge.credentials().obtain()
    certificate = read_certificate(Path(first.cert))
    assert (certificate.common_name, certificate.organizations) == ("system:node:n1", ("system:nodes",))
    edge.token, edge.address = "", "https://127.0.0.1:1"  # neither is needed any more
    assert edge.credentials().obtain() == first
    assert len(edge.orders) == 1
    assert stat.S_IMODE(os.stat(first.key).st_mode) == 0o600
    assert stat.S_IMODE(edge.folder.stat().st_mode) == 0o700


def test_a_node_has_joined_when_it_has_a_certificate_of_its_own_good_or_not(edge: Edge) -> None:
    assert not has_joined(edge.folder, "n1")
    certificate = Path(edge.credentials().obtain().cert)
    edge.now += 366 * DAY
    assert has_joined(edge.folder, "n1"), "one that has expired as well"
    assert not has_joined(edge.folder, "n2")
    certificate.write_text("damaged")
    assert not has_joined(edge.folder, "n1")


def test_it_is_what_the_hub_of_the_edge_asks_for(edge: Edge) -> None:
    credentials: CertificateSource = edge.credentials()
    assert credentials.obtain().ca.endswith("ca.crt")


def test_the_joining_process_does_the_same(tmp_path: Path, edge: Edge) -> None:
    credentials = CertificateManager(edge.folder, "n1", edge.address, lambda: edge.token)
    tls = credentials.obtain()
    before = Path(tls.cert).read_bytes()
    assert credentials.renew() == tls
    assert Path(tls.cert).read_bytes() != before
    refused = CertificateManager(tmp_path / "other", "n1", edge.address, lambda: edge.token[:-2] + "xx")
    with pytest.raises(CertificateError, match="token signature is invalid"):
        refused.obtain()


def test_a_certificate_is_renewed_with_itself_between_seven_and_nine_tenths_of_its_life(edge: Edge) -> None:
    credentials = edge.credentials()
    assert credentials.renew_at() == 0.0
    tls = credentials.obtain()
    certificate = read_certificate(Path(tls.cert))
    life = certificate.not_after - certificate.not_before
    assert 0.7 <= (credentials.renew_at() - certificate.not_before) / life < 0.9
    assert credentials.renew_at() == edge.credentials().renew_at()
    edge.token = ""
    assert credentials.renew() == tls
    assert read_certificate(Path(tls.cert)).key_id != certificate.key_id
    assert not edge.orders[-1].token


def test_nodes_do_not_renew_all_at_once(edge: Edge) -> None:
    times = set()
    for number in range(5):
        edge.folder = edge.folder.parent / f"edge-{number}"
        credentials = edge.credentials(f"n{number}")
        credentials.obtain()
        times.add(round(credentials.renew_at() / DAY))
    assert len(times) >= 3


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda edge, tls: Path(tls.key).unlink(), "there is no"),
        (lambda edge, tls: Path(tls.cert).write_text("nonsense", encoding="ascii"), "damaged"),
        (lambda edge, tls: Path(tls.ca).write_text("nonsense", encoding="ascii"), "damaged"),
        (lambda edge, tls: setattr(edge, "now", edge.now + 366 * DAY), "has expired"),
        (lambda edge, tls: setattr(edge, "now", edge.now - DAY), "is not valid yet"),
    ],
)
def test_files_that_do_not_serve_are_replaced_with_a_token_and_a_sentence_without(
    edge: Edge, spoil: Callable[..., object], reason: str
) -> None:
    spoil(edge, edge.credentials().obtain())
    token, edge.token = edge.token, ""
    with pytest.raises(CertificateError, match=f"{reason}.*no token was given"):
        edge.credentials().obtain()
    edge.token = token
    edge.credentials().obtain()
    assert len(edge.orders) == 2


def test_another_node_name_needs_another_certificate(edge: Edge) -> None:
    edge.credentials("n1").obtain()
    tls = edge.credentials("n2").obtain()
    assert read_certificate(Path(tls.cert)).common_name == "system:node:n2"


def test_a_token_of_a_cloud_that_was_set_up_anew_replaces_good_files_and_that_is_said(
    edge: Edge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edge.credentials().obtain()
    anew = Cloud(tmp_path / "anew")
    try:
        edge.address, edge.token = f"https://127.0.0.1:{anew.port}", anew.authority.token()
        tls = edge.credentials().obtain()
        assert read_certificate(Path(tls.ca)).key_id == read_certificate(anew.authority.ca_path).key_id
    finally:
        anew.stop()
    warnings = [record.getMessage() for record in caplog.records if "has another CA" in record.getMessage()]
    assert len(warnings) == 1 and warnings[0].startswith("the cloud has another CA (sha256 ")


@pytest.mark.parametrize("token", ["0" * 64 + ".a.b.c", "nonsense"])
def test_good_files_outlive_a_token_that_is_of_no_use(edge: Edge, token: str) -> None:
    tls = edge.credentials().obtain()
    before = {path: path.read_bytes() for path in edge.folder.iterdir()}
    edge.token = token
    assert edge.credentials().obtain() == tls
    assert {path: path.read_bytes() for path in edge.folder.iterdir()} == before


def test_good_files_outlive_a_token_file_that_is_gone_and_a_new_node_is_told_of_it(edge: Edge, tmp_path: Path) -> None:
    tls = edge.credentials().obtain()

    def gone() -> str:
        raise CertificateError("the token file /t can not be read")

    assert CertificateManager(edge.folder, "n1", edge.address, gone, here).obtain() == tls
    with pytest.raises(CertificateError, match="the token file /t can not be read"):
        CertificateManager(tmp_path / "new", "n1", edge.address, gone, here).obtain()


# --- each failure as a sentence


def test_the_token_of_another_cloud_is_final(edge: Edge, tmp_path: Path) -> None:
    edge.token = FileAuthority(tmp_path / "other", execute).token()
    with pytest.raises(CertificateError, match="is not the one that the token names"):
        edge.credentials().obtain()
    assert not (edge.folder / "ca.crt").exists()


def test_an_expired_token_is_final(edge: Edge) -> None:
    edge.token = make_token(edge.cloud.authority.ca_der, edge.cloud.authority.ca_key_der, 1000.0)
    with pytest.raises(CertificateError, match="the token has expired; ask the cloud"):
        edge.credentials().obtain()


def test_a_forged_token_is_final(edge: Edge) -> None:
    edge.token = make_token(edge.cloud.authority.ca_der, b"another key", 2.0**40)
    with pytest.raises(CertificateError, match="does not let n1 join: token validation failure"):
        edge.credentials().obtain()


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "127.0.0.1:1", "https://", "ftp://x"])
def test_an_address_that_is_none_is_final(edge: Edge, address: str) -> None:
    edge.address = address
    with pytest.raises(CertificateError, match="has to be https://HOST:PORT"):
        edge.credentials().obtain()


def test_a_cloud_that_is_reached_by_a_name_it_does_not_have_is_final(edge: Edge) -> None:
    edge.address = f"https://127.0.0.2:{edge.cloud.port}"
    server = BootstrapServer(edge.cloud.rules, edge.cloud.loop)
    server.start("127.0.0.2", edge.cloud.port, edge.cloud.tls)
    try:
        with pytest.raises(CertificateError) as refusal:
            edge.credentials().obtain()
        assert str(refusal.value) == (
            f"the certificate of the cloud at {edge.address} does not have the name 127.0.0.2, but localhost, 127.0.0.1: "
            "use one of these, or start the cloud with --advertise 127.0.0.2"
        )
    finally:
        server.stop()


def test_a_cloud_that_refuses_takes_nothing_away(edge: Edge, tmp_path: Path) -> None:
    """The certificates of another cloud go on being used, as is said: its CA has to stay, too."""
    first = edge.credentials().obtain()
    before = {path.name: path.read_bytes() for path in edge.folder.iterdir()}
    another = Cloud(tmp_path / "another")
    try:
        edge.address = f"https://127.0.0.1:{another.port}"
        edge.token = make_token(another.authority.ca_der, another.authority.ca_key_der, time.time() - 1.0)  # too old
        assert edge.credentials().obtain() == first
        assert len(edge.orders) == 2
    finally:
        another.stop()
    assert {path.name: path.read_bytes() for path in edge.folder.iterdir()} == before


def retryable(edge: Edge) -> str:
    with pytest.raises(LinkError) as caught:
        edge.credentials().obtain()
    assert not isinstance(caught.value, CertificateError)
    return str(caught.value)


def test_a_cloud_that_is_away_may_come_back(edge: Edge) -> None:
    edge.address = "https://127.0.0.1:1"
    assert retryable(edge) == "the cloud at https://127.0.0.1:1 can not be reached: Connection refused"


def test_a_name_that_is_not_known_may_be_known_later(edge: Edge) -> None:
    edge.address = "https://no-such-host.invalid:10002"
    assert "can not be reached" in retryable(edge)


def test_whatever_does_not_speak_tls_may_be_the_cloud_later(edge: Edge) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        edge.address = f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=lambda: listener.accept()[0].close())
        thread.start()
        assert "can not be reached" in retryable(edge)
        thread.join()


def test_a_failure_of_the_cloud_may_pass(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> bytes:
        raise RuntimeError("out of order")

    monkeypatch.setattr(edge.cloud.authority, "sign", fail)
    assert "HTTP status 500" in retryable(edge)


def test_a_joining_process_that_breaks_is_told_and_may_work_next_time(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    command = (sys.executable, "-c", "import sys; sys.exit('broken')")
    monkeypatch.setattr("kubeedge_actors.drivers.bootstrap.certificate_manager.COMMAND", command)
    with pytest.raises(LinkError, match="the process that joins the cloud failed"):
        CertificateManager(edge.folder, "n1", edge.address, lambda: edge.token).obtain()
    monkeypatch.setattr("kubeedge_actors.drivers.bootstrap.certificate_manager.COMMAND", ("/no/such/program",))
    with pytest.raises(LinkError, match="did not do its work"):
        CertificateManager(edge.folder, "n1", edge.address, lambda: edge.token).obtain()


def test_a_directory_that_can_not_be_written_is_a_sentence(edge: Edge) -> None:
    edge.folder.write_text("a file", encoding="ascii")
    with pytest.raises(CertificateError, match="can not be written: "):
        edge.credentials().obtain()
