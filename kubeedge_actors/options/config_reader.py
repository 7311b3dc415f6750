"""The config from a command line and a configuration file: one of ours, or one of KubeEdge's own, which are read by componentconfig/.

An option on the command line wins over the file, the file over the default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from kubeedge_actors.config import CloudConfig, EdgeConfig, ModuleEntry, parse_yaml_documents
from kubeedge_actors.errors import UsageError
from kubeedge_actors.options.cloud import CLOUD
from kubeedge_actors.options.edge import EDGE
from kubeedge_actors.options.setting import SettingsTable

Config = TypeVar("Config", EdgeConfig, CloudConfig)
EDGECORE, CLOUDCORE = "EdgeCore", "CloudCore"


class ComponentOptions(NamedTuple):
    """What may be set on one component (cloudcore, edgecore in KubeEdge), and the kind of KubeEdge's own file for it."""

    table: SettingsTable
    kind: str


COMPONENTS: dict[type[EdgeConfig | CloudConfig], ComponentOptions] = {
    EdgeConfig: ComponentOptions(EDGE, EDGECORE),
    CloudConfig: ComponentOptions(CLOUD, CLOUDCORE),
}
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
    "mqtt_user": ("mqtt_login",),
    "in_cluster": ("kubeconfig", "context"),
    "kubeconfig": ("in_cluster", "context"),
}
"""An option on the command line, and what it beats in a file although its name is another."""


def file_settings(config: type[EdgeConfig | CloudConfig], path: str) -> dict[str, Any]:
    """Fields of the config that a configuration file gives: one of ours, or KubeEdge's own of that side. Errors: UsageError."""
    table, kind = COMPONENTS[config]
    document = _document(path, kind)
    if has_own_keys(document):
        return _with_places(table.parse_file(document, path), path)
    from kubeedge_actors.componentconfig import (
        cloudcore_conversion,
        edgecore_conversion,
    )  # only when there is such a file

    readers = {EDGECORE: edgecore_conversion.convert_edgecore, CLOUDCORE: cloudcore_conversion.convert_cloudcore}
    return readers[kind](document, path)


def _with_places(settings: dict[str, Any], path: str) -> dict[str, Any]:
    """The fields, where each module with settings knows where these are from."""
    modules = settings.get("modules", ())
    placed = [
        ModuleEntry(module, f"modules[{number}]", path) if isinstance(module, dict) else module
        for number, module in enumerate(modules)
    ]
    return settings | {"modules": tuple(placed)} if placed else settings


def has_own_keys(document: dict[str, Any]) -> bool:
    """Whether a file has our own keys: one of KubeEdge's says what it is, and its modules are a mapping."""
    return not any(key in document for key in HEADER_KEYS) and not isinstance(document.get("modules"), dict)


def _document(path: str, kind: str) -> dict[str, Any]:
    try:
        documents = parse_yaml_documents(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration file {path} can not be read: {error}") from error
    except ValueError as error:
        raise UsageError(f"the configuration file {path} is {error}") from error
    document = documents[0] if len(documents) == 1 else None
    if not isinstance(document, dict) or document.get("kind", kind) != kind:
        raise UsageError(f"the configuration file {path} is not of kind {kind}")
    version = str(document.get("apiVersion", VERSIONS[0])).rpartition("/")[2]
    if version not in VERSIONS:
        raise UsageError(f"the configuration file {path} is of version {version}; known are {' and '.join(VERSIONS)}")
    return document


def read_config(config: type[Config], file: str | None, options: dict[str, Any]) -> Config:
    """What a configuration file (None: there is none) and the options of a side say. Errors: UsageError."""
    return merge_config(config, file_settings(config, file) if file else {}, options)


def merge_config(kind: type[Config], file: dict[str, Any], options: dict[str, Any]) -> Config:
    """The config of file and command line.

    An option takes with it what the file says in another way about the same thing.
    """
    beaten = {rival for name, rivals in RIVALS.items() if options.get(name) for rival in rivals}
    if "mqtt_mode" in options:
        beaten.discard("mqtt")  # the port is then not all that is wanted
    config = kind(**{**{name: value for name, value in file.items() if name not in beaten}, **options})
    COMPONENTS[kind].table.check(config)
    return config
