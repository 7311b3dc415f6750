"""KubeEdge's own configuration files: what they set, what is said about the rest. The files here hold KubeEdge's keys and defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeedge_actors.componentconfig.keys import ConfigKeys
from kubeedge_actors.config import CloudConfig, EdgeConfig
from kubeedge_actors.edge import drop_unjoinable_cloud
from kubeedge_actors.errors import UsageError
from kubeedge_actors.options.config_reader import file_settings, merge_config

HERE = Path(__file__).parent
Json = dict[str, Any]
Read = Callable[..., Json]
SILENT: tuple[Any, ...] = (None, "", [], {})


def text_of(name: str) -> str:
    return (HERE / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.fixture
def edge(tmp_path: Path) -> Read:
    """Settings of edgecore.yaml as it is by default, with other values for some dotted keys."""
    return lambda **changes: file_settings(EdgeConfig, changed(tmp_path, "edgecore-default", changes))


@pytest.fixture
def cloud(tmp_path: Path) -> Read:
    """The same for cloudcore.yaml."""
    return lambda **changes: file_settings(CloudConfig, changed(tmp_path, "cloudcore-default", changes))


def changed(folder: Path, name: str, changes: Json) -> str:
    document = yaml.safe_load(text_of(name))
    for key, value in changes.items():
        *sections, last = key.split("__")
        section = document
        for each in sections:
            section = section.setdefault(each, {})
        section[last] = value
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(path)


def leaves(section: Json, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        key = f"{path}.{name}" if path else name
        if isinstance(value, dict) and value:
            yield from leaves(value, key)
        else:
            yield key, value


def test_the_default_edgecore_file_gives_an_edge_node(edge: Read) -> None:
    config = merge_config(EdgeConfig, edge(), {})
    assert (config.name, config.heartbeat, config.cloud) == ("edge-1", 15.0, "https://192.0.2.10:10002")
    assert config.hub_url == "wss://192.0.2.10:10000"
    assert (config.mqtt_mode, config.mqtt) == (2, "tcp://127.0.0.1:1883")
    assert config.manifests == "/etc/kubeedge/manifests"
    assert (config.container_log_max_size, config.container_log_max_files) == (10 << 20, 5)
    assert config.data_dir == EdgeConfig().data_dir
    assert (config.service_host, config.service_port, config.service_timeout) == ("127.0.0.1", 9060, 60.0)


def test_how_much_of_a_containers_log_is_kept_is_taken_from_the_kubelets_settings(edge: Read) -> None:
    kubelet = "modules__edged__tailoredKubeletConfig__containerLogMax"
    found = edge(**{f"{kubelet}Size": "1Mi", f"{kubelet}Files": 3})
    assert (found["container_log_max_size"], found["container_log_max_files"]) == (1 << 20, 3)
    for wrong in ({f"{kubelet}Size": "much"}, {f"{kubelet}Size": "0"}, {f"{kubelet}Files": 1}):
        with pytest.raises(UsageError, match="containerLogMax"):
            edge(**wrong)


def test_the_minimal_edgecore_file_leaves_the_hub_off(tmp_path: Path) -> None:
    found = file_settings(EdgeConfig, changed(tmp_path, "edgecore-minimal", {}))
    assert not {"cloud", "hub", "token", "cert_file"} & set(found)
    assert found["name"] == "edge-1"


def test_the_default_cloudcore_file_gives_a_cloud(cloud: Read) -> None:
    config = merge_config(CloudConfig, cloud(), {})
    assert (config.host, config.hub_port, config.https_port, config.node_limit) == ("0.0.0.0", 10000, 10002, 500)
    assert (config.keepalive, config.certificate_days, config.advertise) == (30.0, 365, ("192.0.2.10",))
    assert (config.metrics_host, config.metrics_port, config.kubeconfig) == ("127.0.0.1", 9091, "")


def test_a_router_that_is_enabled_is_served_by_tls(cloud: Read) -> None:
    assert "router_port" not in cloud()
    found = cloud(modules__router__enable=True, modules__router__port=9444, modules__router__restTimeout=5)
    assert (found["router_port"], found["router_timeout"]) == (9444, 5.0)
    assert "router_open" not in found


def test_the_minimal_cloudcore_file_gives_a_cloud(tmp_path: Path) -> None:
    assert file_settings(CloudConfig, changed(tmp_path, "cloudcore-minimal", {}))["node_limit"] == 1000


@pytest.mark.parametrize("name", ["edgecore-default", "edgecore-minimal", "cloudcore-default", "cloudcore-minimal"])
def test_every_key_is_honoured_or_named_in_one_warning(
    name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    honoured = {"apiVersion", "kind"}
    take, drop = ConfigKeys.take, ConfigKeys.drop_fixed

    def taken(self: ConfigKeys, key: str, *how: Any) -> Any:
        honoured.add(key)
        return take(self, key, *how)

    def dropped(self: ConfigKeys, fixed: Json) -> None:
        honoured.update(fixed)
        drop(self, fixed)

    monkeypatch.setattr(ConfigKeys, "take", taken)
    monkeypatch.setattr(ConfigKeys, "drop_fixed", dropped)
    config: type[EdgeConfig | CloudConfig] = EdgeConfig if name.startswith("edge") else CloudConfig
    file_settings(config, str(HERE / f"{name}.yaml"))
    assert len(caplog.messages) == 1
    named = set(sections_of(caplog.messages[0]))
    for key, value in leaves(yaml.safe_load(text_of(name))):
        shown = key in named or any(key.startswith(f"{each}.") for each in named)
        assert shown or key in honoured or value in SILENT, key


def sections_of(message: str) -> Iterator[str]:
    for section, _, names in (part.partition(": ") for part in message.partition("here: ")[2].split("; ")):
        yield from (f"{section}.{name}" for name in names.split(", "))


@pytest.mark.parametrize(
    ("key", "value", "field", "wanted"),
    [
        ("modules__edged__nodeIP", "192.0.2.7", "node_ip", "192.0.2.7"),
        ("modules__edged__nodeLabels", {"example.org/room": "7", "a": ""}, "labels", ("a=", "example.org/room=7")),
        ("modules__edgeHub__token", "a.b.c.d", "token", "a.b.c.d"),
        ("modules__edgeHub__httpServer", "cloud.example:10002", "cloud", "https://cloud.example:10002"),
        ("modules__metaManager__remoteQueryTimeout", 5, "remote_query_timeout", 5.0),
        ("modules__taskManager__enable", True, "node_tasks", True),
        ("modules__serviceBus__port", 9061, "service_port", 9061),
        ("database__dataSource", "/srv/edge/edgecore.db", "data_dir", Path("/srv/edge")),
        ("modules__deviceTwin__dmiSockPath", "/run/mappers", "dmi", "/run/mappers/dmi.sock"),
    ],
)
def test_a_key_of_edgecore_sets_its_field(edge: Read, key: str, value: Any, field: str, wanted: Any) -> None:
    assert edge(**{key: value})[field] == wanted


@pytest.mark.parametrize(("mode", "inside", "outside"), [(0, True, False), (1, True, True), (2, False, True)])
def test_the_mqtt_modes_choose_the_brokers(edge: Read, mode: int, inside: bool, outside: bool) -> None:
    found = edge(modules__eventBus__mqttMode=mode)
    assert (found.get("mqtt_port") == 1884) is inside
    assert (found.get("mqtt") == "tcp://127.0.0.1:1883") is outside


def test_mqtt_over_tls_takes_the_files_of_the_event_bus(edge: Read) -> None:
    found = edge(modules__eventBus__eventBusTLS__enable=True, modules__eventBus__mqttUsername="u")
    assert found["mqtt"] == "ssl://127.0.0.1:1883"
    assert (found["mqtt_user"], found["mqtt_ca"]) == ("u", "/etc/kubeedge/ca/rootCA.crt")
    assert found["mqtt_key"] == "/etc/kubeedge/certs/server.key"
    assert "mqtt_ca" not in edge(modules__eventBus__eventBusTLS__enable=False)


def test_the_names_of_the_cloud_are_its_addresses_and_dns_names(cloud: Read) -> None:
    found = cloud(
        modules__cloudHub__advertiseAddress=["192.0.2.1", "192.0.2.2"], modules__cloudHub__dnsNames=["", "c.example"]
    )
    assert found["advertise"] == ("192.0.2.1", "192.0.2.2", "c.example")


def test_an_option_wins_over_the_file(edge: Read) -> None:
    config = merge_config(EdgeConfig, edge(), {"name": "other", "heartbeat": 9.0})
    assert (config.name, config.cloud, config.heartbeat) == ("other", "https://192.0.2.10:10002", 9.0)


@pytest.mark.parametrize(
    ("options", "field", "wanted"),
    [
        ({"cloud": "https://c.example:10002"}, "hub_url", "wss://c.example:10000"),
        ({"cloud": "https://c.example:10002", "hub": "wss://h.example:1"}, "hub_url", "wss://h.example:1"),
        ({"token_file": "t"}, "token", ""),
        ({"mqtt_port": 1999}, "mqtt", ""),
        ({"mqtt_port": 1999, "mqtt_mode": 1}, "mqtt", "tcp://127.0.0.1:1883"),
        ({"mqtt": "tcp://m.example:1883"}, "mqtt_mode", -1),
    ],
)
def test_an_option_beats_what_the_file_says_in_another_way(edge: Read, options: Json, field: str, wanted: Any) -> None:
    file = edge(modules__edgeHub__token="of.the.old.cloud")
    assert getattr(merge_config(EdgeConfig, file, options), field) == wanted


def test_what_is_always_so_is_complained_of_when_the_file_says_otherwise(
    edge: Read, caplog: pytest.LogCaptureFixture
) -> None:
    edge(modules__edged__enable=False, modules__edgeHub__quic__enable=True)
    (message,) = caplog.messages
    assert {"modules.edged.enable", "modules.edgeHub.quic.enable"} <= set(sections_of(message))


def test_a_key_that_kubeedge_does_not_have_is_named_apart(edge: Read, caplog: pytest.LogCaptureFixture) -> None:
    edge(modules__edgeHub__hartbeat=15)
    assert caplog.messages[-1].endswith("KubeEdge has no such keys: modules.edgeHub.hartbeat")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("modules__edgeHub__heartbeat", "often"),
        ("modules__edgeHub__heartbeat", 0),
        ("modules__edgeHub__heartbeat", True),
        ("modules__eventBus__mqttMode", 1.5),
        ("modules__edgeHub__enable", "yes please"),
        ("modules__edged__nodeLabels", ["a=b"]),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_key(edge: Read, key: str, value: Any) -> None:
    with pytest.raises(UsageError, match=key.replace("__", ".")):
        edge(**{key: value})


def test_a_file_of_a_version_that_nobody_knows_is_refused(edge: Read) -> None:
    with pytest.raises(UsageError, match="v9"):
        edge(apiVersion="edgecore.config.kubeedge.io/v9")


def test_the_old_edgecore_file_may_ask_for_docker(edge: Read) -> None:
    found = edge(
        apiVersion="edgecore.config.kubeedge.io/v1alpha1",
        modules__edged__runtimeType="docker",
        modules__edged__dockerAddress="unix:///run/d.sock",
    )
    assert (found["runtime"], found["docker_host"]) == ("docker", "unix:///run/d.sock")


def test_a_file_that_names_a_cloud_but_no_way_to_join_it_gives_a_node_that_works_alone(
    edge: Read, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = tmp_path / "server.crt"
    config = merge_config(EdgeConfig, edge(modules__edgeHub__tlsCertFile=str(certificate)), {"data_dir": tmp_path})
    assert drop_unjoinable_cloud(config).cloud == ""
    assert caplog.messages[-1].startswith("no token and no certificate for the cloud https://192.0.2.10:10002")
    assert drop_unjoinable_cloud(merge_config(EdgeConfig, {**edge(), "token": "t"}, {})).cloud
    certificate.touch()
    assert drop_unjoinable_cloud(config).cloud
