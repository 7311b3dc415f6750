"""What the cloud's options make of the server for a cluster's API server."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.assembly import kubelet
from kubeedge_actors.assembly.kubelet import ClusterSide, KubeletSide, client_ca, serve_kubelets
from kubeedge_actors.config import CloudConfig
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.pki.worker_protocol import execute
from kubeedge_actors.errors import LinkError, UsageError
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND

REAL = CloudConfig(kubeconfig="x")


class Setting:
    """A cluster and what the cloud has of it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.stack, self.loop = stack, LoopThread()
        stack.callback(self.loop.stop)
        authority = FileAuthority(folder / "certs", execute)
        self.cluster = FakeCluster()
        self.ca = authority.ca_path.read_bytes()
        access = ClientConfig("https://127.0.0.1:1", ca=self.ca)
        self.side = ClusterSide(authority, access, self.cluster, TunnelRegistry(), authority.server_certificate())

    def serve(self, config: CloudConfig, ca: bool = True) -> KubeletSide:
        access = self.side.access if ca else ClientConfig("http://127.0.0.1:1")
        return serve_kubelets(config, self.loop, self.stack, self.side._replace(access=access))


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    with ExitStack() as stack:
        yield Setting(tmp_path, stack)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The default port, which is taken."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
        monkeypatch.setattr(kubelet, "STREAM_PORT", number)
        yield number


def test_the_ca_of_the_api_server_is_the_one_given_that_of_the_cluster_or_its_own(
    setting: Setting, tmp_path: Path
) -> None:
    assert client_ca(REAL, setting.side.access, setting.cluster) == setting.ca
    told = {"metadata": {"name": "extension-apiserver-authentication"}, "data": {"client-ca-file": "told"}}
    setting.cluster.create(CONFIGMAP_KIND, "kube-system", {"apiVersion": "v1", "kind": "ConfigMap", **told})
    assert client_ca(REAL, setting.side.access, setting.cluster) == b"told"
    (tmp_path / "given").write_bytes(b"given")
    given = dataclasses.replace(REAL, stream_client_ca=str(tmp_path / "given"))
    assert client_ca(given, setting.side.access, setting.cluster) == b"given"
    with pytest.raises(UsageError, match="--stream-client-ca"):
        client_ca(dataclasses.replace(REAL, stream_client_ca="/nowhere"), setting.side.access, setting.cluster)


def test_a_default_port_that_is_taken_is_a_warning_and_one_that_was_asked_for_the_end(
    setting: Setting, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    served = setting.serve(REAL)
    assert f"no kubectl logs and exec through the API server: --stream-port {port} is in use" in caplog.text
    assert (served.endpoint, served.hint(), served.specs(setting.cluster)) == (kubelet.EMBEDDED, "", [])
    with pytest.raises(LinkError, match="--stream-port"):
        setting.serve(dataclasses.replace(REAL, stream_port=port))


def test_without_a_ca_there_is_no_server_and_who_asked_for_one_is_told(setting: Setting, port: int) -> None:
    assert setting.serve(REAL, ca=False).endpoint is kubelet.EMBEDDED
    with pytest.raises(UsageError, match="--stream-client-ca"):
        setting.serve(dataclasses.replace(REAL, stream_port=port), ca=False)


def test_a_node_says_the_clouds_port_and_keeps_what_it_says_itself_with_the_embedded_api(setting: Setting) -> None:
    address = dataclasses.replace(REAL, stream_port=0, kubelet_address="cloud.example:443")
    for config in (CloudConfig(), address):
        assert setting.serve(config).status_of({"daemonEndpoints": {}}, "e1") == {"daemonEndpoints": {}}


def test_a_certificate_from_elsewhere_comes_with_its_key(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubelet, "STREAM_PORT", 0)
    with pytest.raises(UsageError, match="together or not at all"):
        setting.serve(dataclasses.replace(REAL, stream_cert="x"))
    served = setting.serve(REAL)
    assert "iptables -t nat -A OUTPUT -p tcp --dport 10351 -j DNAT --to 127.0.0.1:" in served.hint()
    assert served.status_of({"daemonEndpoints": {}, "addresses": []}, "e1") == {"addresses": []}
