"""What a person may set: the options of both commands, and the same from KubeEdge's own configuration files.

An option on the command line wins over the file, the file over the default. KubeEdge's files are read by componentconfig/.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from kubeedge_actors import nesting
from kubeedge_actors.errors import UsageError
from kubeedge_actors.program import absolute, default_data_dir
from kubeedge_actors.wire.names import DEFAULT_PROJECT

HUB_PORT, HTTPS_PORT, API_PORT, MQTT_PORT = 10000, 10002, 6443, 1883
STREAM_PORT, TUNNEL_PORT = 10003, 10004
METASERVER_PORT = 10550
MQTT_TLS_PORT = 8883
SERVICE_PORT = 9060
METRICS_HOST = "127.0.0.1"
DMI_SOCKET = "dmi.sock"
"""The socket that device mappers call; in the data directory unless it is a path."""
Config = TypeVar("Config", "EdgeConfig", "CloudConfig")


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
    runtime: str = "auto"
    docker_host: str = ""
    mqtt_port: int = MQTT_PORT
    mqtt_host: str = "127.0.0.1"
    mqtt_passwords: str = ""
    mqtt_acl: str = ""
    mqtt_tls_port: int = MQTT_TLS_PORT
    mqtt_tls_cert: str = ""
    mqtt_tls_key: str = ""
    mqtt_tls_ca: str = ""
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
    dmi: str = ""
    modules: tuple[str, ...] = ()
    metrics_host: str = METRICS_HOST
    metrics_port: int = 0
    heartbeat: float = 15.0
    project: str = DEFAULT_PROJECT
    node_ip: str = ""
    labels: tuple[str, ...] = ()
    report_events: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    remote_query_timeout: float = 60.0
    service_host: str = "127.0.0.1"
    service_port: int = SERVICE_PORT
    service_timeout: float = 60.0

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

    `tunnel_port`: -1 for the default one if it is free, 0 for none.
    """

    data_dir: Path = dataclasses.field(default_factory=lambda: default_data_dir("cloud"))
    host: str = "127.0.0.1"
    api_port: int = API_PORT
    hub_port: int = HUB_PORT
    https_port: int = HTTPS_PORT
    tunnel_port: int = -1
    kubeconfig: str = ""
    context: str = ""
    in_cluster: bool = False
    node_limit: int = 5000
    keepalive: float = 30.0
    certificate_days: int = 365
    advertise: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    metrics_host: str = METRICS_HOST
    metrics_port: int = 0


HEADER_KEYS = ("apiVersion", "kind")
VERSIONS = ("v1alpha1", "v1alpha2")
LOGIN = ("mqtt_login", "mqtt_user", "mqtt_password")
RIVALS = {
    "cloud": ("hub",),
    "token": ("token_file",),
    "token_file": ("token",),
    "mqtt": ("mqtt_mode", *LOGIN, "mqtt_ca", "mqtt_cert", "mqtt_key"),
    "mqtt_port": ("mqtt", "mqtt_mode"),
    "mqtt_login": LOGIN,
    "in_cluster": ("kubeconfig", "context"),
    "kubeconfig": ("in_cluster", "context"),
}
"""An option on the command line, and what it beats in a file although its name is another."""


def edge_settings(path: str) -> dict[str, Any]:
    """Fields of EdgeConfig that an edgecore.yaml, or a file of ours, gives."""
    document = _document(path, "EdgeCore")
    if is_ours(document):
        return own_settings(EdgeConfig, document, path)
    from kubeedge_actors.componentconfig import edgecore  # only when there is such a file

    return edgecore.settings(document, path)


def cloud_settings(path: str) -> dict[str, Any]:
    """Fields of CloudConfig that a cloudcore.yaml, or a file of ours, gives."""
    document = _document(path, "CloudCore")
    if is_ours(document):
        return own_settings(CloudConfig, document, path)
    from kubeedge_actors.componentconfig import cloudcore  # only when there is such a file

    return cloudcore.settings(document, path)


def is_ours(document: dict[str, Any]) -> bool:
    """Whether a file has our own keys, the long options of the command: one of KubeEdge's says what it is, and its modules are a mapping."""
    return not any(key in document for key in HEADER_KEYS) and not isinstance(document.get("modules"), dict)


def own_settings(kind: type[Config], document: dict[str, Any], path: str) -> dict[str, Any]:
    """Fields that a file of ours gives; UsageError for an unknown key or a value that does not fit."""
    defaults = {field.name: getattr(kind(), field.name) for field in dataclasses.fields(kind)}
    settings: dict[str, Any] = {}
    for key, value in document.items():
        name = str(key).replace("-", "_")
        if name not in defaults:
            known = ", ".join(sorted(each.replace("_", "-") for each in defaults))
            raise UsageError(f"the configuration file {path} has the unknown key {key!r}; there are: {known}")
        try:
            settings[name] = _fitted(defaults[name], value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{key} in {path} has the value {value!r}, which does not fit") from error
    return settings


def _fitted(default: Any, value: Any) -> Any:
    """The value in the type of its default."""
    if isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise TypeError("it has to be a list of texts")
        return tuple(value)
    if isinstance(default, Path):
        return absolute(str(value))
    if value is None or isinstance(value, dict | list) or isinstance(default, bool) != isinstance(value, bool):
        raise TypeError("it is of another type")
    return type(default)(value)


def _document(path: str, kind: str) -> dict[str, Any]:
    try:
        document = nesting.yaml_document(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration file {path} can not be read: {error}") from error
    except nesting.NotYaml as error:
        line = f" (line {error.line})" if error.line else ""
        raise UsageError(f"the configuration file {path} is not YAML{line}") from error
    if not isinstance(document, dict) or document.get("kind", kind) != kind:
        raise UsageError(f"the configuration file {path} is not of kind {kind}")
    version = str(document.get("apiVersion", VERSIONS[0])).rpartition("/")[2]
    if version not in VERSIONS:
        raise UsageError(f"the configuration file {path} is of version {version}; known are {' and '.join(VERSIONS)}")
    return document


def yaml_documents(text: str) -> list[Any]:
    """The documents of a YAML text; ValueError when it is none."""
    try:
        return nesting.yaml_documents(text)
    except nesting.NotYaml as error:
        raise ValueError(f"this is not YAML: {error}") from error


def merged(kind: type[Config], file: dict[str, Any], options: dict[str, Any]) -> Config:
    """The config of file and command line; an option that is None was not given.

    An option takes with it what the file says in another way about the same thing.
    """
    fields = {field.name for field in dataclasses.fields(kind)}
    given = {name: value for name, value in options.items() if name in fields and value is not None}
    beaten = {rival for name, rivals in RIVALS.items() if given.get(name) for rival in rivals}
    if "mqtt_mode" in given:
        beaten.discard("mqtt")  # the port is then not all that is wanted
    config = kind(**{**{name: value for name, value in file.items() if name not in beaten}, **given})
    _check_ports(config)
    return config


def _check_ports(config: EdgeConfig | CloudConfig) -> None:
    """UsageError for a port that there is not; what a default says (-1 for "if it is free") is none of a person's mistakes."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name.endswith("_port") and value != field.default and not 0 <= value <= 65535:
            raise UsageError(f"--{field.name.replace('_', '-')}: {value} is no port: 0 to 65535")
