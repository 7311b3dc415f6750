"""What the two sides go by: the values of all settings and their defaults. How a person sets them: options/."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from kubeedge_actors.wire.constants import DEFAULT_PROJECT

HUB_PORT, HTTPS_PORT, API_PORT, MQTT_PORT = 10000, 10002, 6443, 1883
STREAM_PORT, TUNNEL_PORT = 10003, 10004
METASERVER_PORT = 10550
MQTT_TLS_PORT = 8883
SERVICE_PORT = 9060
METRICS_HOST = "127.0.0.1"
DMI_SOCKET = "dmi.sock"
"""The socket that device mappers call; in the data directory unless it is a path."""


def default_data_dir(side: str) -> Path:
    """Where `side` (cloud or edge) keeps its state when no --data-dir is given."""
    if os.geteuid() == 0:
        return Path("/var/lib/kubeedge-actors") / side
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "kubeedge-actors" / side


class ModuleEntry(NamedTuple):
    """A module of one's own with settings, as a file has it. `place`: what it is called in an error, such as `modules[0]`."""

    settings: Mapping[str, Any]
    place: str
    file: str


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """One edge node. Times in seconds; an empty `cloud` means that the node works alone.

    `labels` are NAME=VALUE. `ca_file`, `cert_file`, `key_file`: what the node got when it joined with KubeEdge's edgecore; taken over at the
    first start.
    """

    name: str = ""
    cloud: str = ""
    hub: str = ""
    streams: bool = True
    tunnel: str = ""
    token: str = ""
    token_file: str = ""
    data_dir: Path = dataclasses.field(default_factory=lambda: default_data_dir("edge"))
    encryption_key_file: str = ""
    runtime: str = "auto"
    docker_host: str = ""
    container_log_max_size: int = 10 * 1024 * 1024
    container_log_max_files: int = 5
    mqtt_port: int = MQTT_PORT
    mqtt_host: str = "127.0.0.1"
    mqtt_passwords: str = ""
    mqtt_acl: str = ""
    mqtt_tls_port: int = MQTT_TLS_PORT
    mqtt_tls_cert: str = ""
    mqtt_tls_key: str = ""
    mqtt_tls_ca: str = ""
    mqtt_max_inflight_messages: int = 64
    mqtt_max_queued_messages: int = 1_000
    mqtt_max_queued_bytes: int = 8 * 1024 * 1024
    mqtt_slow_subscriber_timeout: float = 10.0
    mqtt: str = ""
    mqtt_mode: int = -1
    mqtt_login: str = ""
    mqtt_user: str = ""
    mqtt_password: str = ""
    mqtt_ca: str = ""
    mqtt_cert: str = ""
    mqtt_key: str = ""
    manifests: str = ""
    metaserver: str = ""
    metaserver_tls_cert: str = ""
    metaserver_tls_key: str = ""
    metaserver_readers: tuple[str, ...] = ()
    dmi: str = ""
    modules: tuple[str | ModuleEntry, ...] = ()
    module_config: str = ""
    metrics_host: str = METRICS_HOST
    metrics_tls_cert: str = ""
    metrics_tls_key: str = ""
    metrics_token_file: str = ""
    metrics_port: int = 0
    heartbeat: float = 15.0
    project: str = DEFAULT_PROJECT
    node_ip: str = ""
    labels: tuple[str, ...] = ()
    report_events: bool = False
    node_tasks: bool = True
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    remote_query_timeout: float = 60.0
    service_host: str = "127.0.0.1"
    service_port: int = SERVICE_PORT
    service_timeout: float = 60.0
    log_level: str = "warning"
    allow_faults: bool = False

    @property
    def hub_url(self) -> str:
        """Address of the message channel: as given, or on the cloud's host at the default port."""
        return self.hub or f"wss://{urlsplit(self.cloud).hostname}:{HUB_PORT}"

    @property
    def tunnel_url(self) -> str:
        """Address of the stream tunnel: as given, or on the cloud's host at the default port."""
        return self.tunnel or f"wss://{urlsplit(self.cloud).hostname}:{TUNNEL_PORT}"


@dataclass(frozen=True, slots=True)
class CloudConfig:
    """The cloud side. Neither `kubeconfig` nor `in_cluster`: the embedded API. An empty `context` is the current one.

    `tunnel_port` and `stream_port`: -1 for the default one if it is free, 0 for none.
    """

    data_dir: Path = dataclasses.field(default_factory=lambda: default_data_dir("cloud"))
    encryption_key_file: str = ""
    host: str = "127.0.0.1"
    api_port: int = API_PORT
    token_auth_file: str = ""
    hub_port: int = HUB_PORT
    https_port: int = HTTPS_PORT
    tunnel_port: int = -1
    stream_port: int = -1
    stream_client_ca: str = ""
    stream_cert: str = ""
    stream_key: str = ""
    kubelet_address: str = ""
    iptables: bool = False
    kubeconfig: str = ""
    context: str = ""
    in_cluster: bool = False
    dynamic_controller: bool = True
    router_port: int = 0
    router_open: int = 0
    router_timeout: float = 60.0
    router_retry: float = 3600.0
    node_limit: int = 5000
    keepalive: float = 30.0
    certificate_days: int = 365
    advertise: tuple[str, ...] = ()
    modules: tuple[str | ModuleEntry, ...] = ()
    module_config: str = ""
    metrics_host: str = METRICS_HOST
    metrics_tls_cert: str = ""
    metrics_tls_key: str = ""
    metrics_token_file: str = ""
    metrics_port: int = 0
    log_level: str = "warning"
    allow_faults: bool = False


def parse_yaml_documents(text: str) -> list[Any]:
    """The documents of a YAML text; ValueError("not YAML (line ...): why") when it is none."""
    from kubeedge_actors import yaml_documents  # only when there is a file: the help of a command needs no library

    try:
        return yaml_documents.yaml_documents(text)
    except yaml_documents.NotYaml as error:
        position = f" (line {error.line})" if error.line else ""
        raise ValueError(f"not YAML{position}: {str(error).splitlines()[0]}") from error
