"""What a person may set: the options of both commands, and the same from KubeEdge's own configuration files.

An option on the command line wins over the file, the file over the default. Every key of a file that we do not use is named once in a
warning (source of the keys: KubeEdge componentconfig, edgecore v1alpha2 and cloudcore v1alpha1).
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from kubeedge_actors.errors import UsageError
from kubeedge_actors.program import default_data_dir
from kubeedge_actors.wire.names import DEFAULT_PROJECT

log = logging.getLogger(__name__)

HUB_PORT, HTTPS_PORT, API_PORT, MQTT_PORT = 10000, 10002, 6443, 1883
Config = TypeVar("Config", "EdgeConfig", "CloudConfig")


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """One edge node. Times in seconds; an empty `cloud` means that the node works alone."""

    name: str = ""
    cloud: str = ""
    hub: str = ""
    token: str = ""
    token_file: str = ""
    data_dir: Path = dataclasses.field(default_factory=lambda: default_data_dir("edge"))
    runtime: str = "auto"
    docker_host: str = ""
    mqtt_port: int = MQTT_PORT
    mqtt: str = ""
    manifests: str = ""
    modules: tuple[str, ...] = ()
    heartbeat: float = 15.0
    project: str = DEFAULT_PROJECT

    @property
    def hub_url(self) -> str:
        """Address of the message channel: as given, or on the cloud's host at the default port."""
        return self.hub or f"wss://{urlsplit(self.cloud).hostname}:{HUB_PORT}"


@dataclass(frozen=True, slots=True)
class CloudConfig:
    """The cloud side. An empty `kubeconfig` means the embedded API."""

    data_dir: Path = dataclasses.field(default_factory=lambda: default_data_dir("cloud"))
    host: str = "127.0.0.1"
    api_port: int = API_PORT
    hub_port: int = HUB_PORT
    https_port: int = HTTPS_PORT
    kubeconfig: str = ""
    node_limit: int = 5000


def _url(scheme: str) -> Callable[[Any], str]:
    return lambda value: str(value) if "://" in str(value) else f"{scheme}://{value}"


def _port(value: Any) -> int:
    return int(urlsplit(_url("tcp")(value)).port or MQTT_PORT)


EDGECORE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "modules.edged.hostnameOverride": ("name", str),
    "modules.edged.tailoredKubeletConfig.staticPodPath": ("manifests", str),
    "modules.edgeHub.httpServer": ("cloud", _url("https")),
    "modules.edgeHub.websocket.server": ("hub", _url("wss")),
    "modules.edgeHub.token": ("token", str),
    "modules.edgeHub.heartbeat": ("heartbeat", float),
    "modules.edgeHub.projectID": ("project", str),
}
CLOUDCORE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "kubeAPIConfig.kubeConfig": ("kubeconfig", str),
    "modules.cloudHub.websocket.port": ("hub_port", int),
    "modules.cloudHub.websocket.address": ("host", str),
    "modules.cloudHub.https.port": ("https_port", int),
    "modules.cloudHub.nodeLimit": ("node_limit", int),
}
MQTT_MODE, MQTT_INTERNAL, MQTT_EXTERNAL = (
    f"modules.eventBus.{key}" for key in ("mqttMode", "mqttServerInternal", "mqttServerExternal")
)
HEADER_KEYS = ("apiVersion", "kind")


def edge_settings(path: str) -> dict[str, Any]:
    """Fields of EdgeConfig that an edgecore.yaml gives."""
    keys = dict(_leaves(_document(path, "EdgeCore")))
    settings = _taken(keys, EDGECORE, path)
    mode, internal, external = (keys.pop(key, None) for key in (MQTT_MODE, MQTT_INTERNAL, MQTT_EXTERNAL))
    if mode in (1, 2) and external:
        settings["mqtt"] = str(external)
    elif internal:
        settings["mqtt_port"] = _port(internal)
    _warn_of(keys, path)
    return settings


def cloud_settings(path: str) -> dict[str, Any]:
    """Fields of CloudConfig that a cloudcore.yaml gives."""
    keys = dict(_leaves(_document(path, "CloudCore")))
    settings = _taken(keys, CLOUDCORE, path)
    _warn_of(keys, path)
    return settings


def _document(path: str, kind: str) -> dict[str, Any]:
    import yaml  # only when there is a file: it costs an idle edge memory

    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration file {path} can not be read: {error}") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise UsageError(f"the configuration file {path} is not YAML{line}") from error
    if not isinstance(document, dict) or document.get("kind", kind) != kind:
        raise UsageError(f"the configuration file {path} is not of kind {kind}")
    return document


def yaml_documents(text: str) -> list[Any]:
    """The documents of a YAML text; ValueError when it is none."""
    import yaml

    try:
        return list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise ValueError(f"this is not YAML: {error}") from error


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif path not in HEADER_KEYS:
        yield path, value


def _taken(keys: dict[str, Any], table: dict[str, tuple[str, Callable[[Any], Any]]], path: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for key, (field, convert) in table.items():
        value = keys.pop(key, None)
        if value in (None, ""):
            continue
        try:
            settings[field] = convert(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{key} in {path} has the value {value!r}, which does not fit") from error
    return settings


def _warn_of(unused: dict[str, Any], path: str) -> None:
    named = sorted(key for key, value in unused.items() if value not in (None, "", [], {}))
    if named:
        log.warning("%s: these keys have no effect here: %s", path, ", ".join(named))


def merged(kind: type[Config], file: dict[str, Any], options: dict[str, Any]) -> Config:
    """The config of file and command line; an option that is None was not given."""
    fields = {field.name for field in dataclasses.fields(kind)}
    given = {name: value for name, value in options.items() if name in fields and value is not None}
    return kind(**{**file, **given})
