"""Client configuration: server and identity, from a kubeconfig, from inside a pod, or given."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kubeedge_actors import depth_limit, yaml_documents
from kubeedge_actors.errors import UsageError
from kubeedge_actors.osutil.sockets import bracketed

POD_DIRECTORY = Path("/var/run/secrets/kubernetes.io/serviceaccount")
UNSUPPORTED = ("auth-provider", "impersonate", "as")


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """A credential plugin: what to run, with which variables added to the environment."""

    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    api_version: str = ""


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """One API server and one identity.

    Certificates and keys are PEM; `token_file` is read again when it may have been renewed. `impersonate`: user and group in whose name the
    identity speaks; empty: its own.
    """

    url: str
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    token_file: Path | None = None
    command: ExecPlugin | None = None
    username: str = ""
    password: str = ""
    verify: bool = True
    server_name: str = ""
    impersonate: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"Access({self.url})"


def from_kubeconfig(path: Path, context: str = "") -> ClientConfig:
    """The ClientConfig of a kubeconfig's `context`. Error: UsageError.

    Default: its current one. Errors: UsageError says what is wrong with the file.
    """
    config = _read(path)
    chosen = context or str(config.get("current-context") or "")
    if not chosen:
        raise UsageError(f"{path} names no current context")
    entry = _named_entry(path, config, "contexts", chosen).get("context") or {}
    cluster = _named_entry(path, config, "clusters", str(entry.get("cluster", ""))).get("cluster") or {}
    user_name = str(entry.get("user", ""))
    user = (_named_entry(path, config, "users", user_name).get("user") or {}) if user_name else {}
    return _client_config(path, cluster, user)


def in_cluster_config(directory: Path = POD_DIRECTORY, environment: Mapping[str, str] = os.environ) -> ClientConfig:
    """The access that Kubernetes gives to a pod; UsageError outside of one."""
    host, port = (environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443"))
    if not host:
        raise UsageError("this is not a pod: KUBERNETES_SERVICE_HOST is not set; give a kubeconfig")
    ca, token = directory / "ca.crt", directory / "token"
    if not token.is_file():
        raise UsageError(f"{token} does not exist: the pod has no service account token")
    return ClientConfig(url=f"https://{bracketed(host)}:{port}", ca=_bytes(ca), token_file=token)


def _client_config(path: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ClientConfig:
    for key in UNSUPPORTED:
        if user.get(key):
            raise UsageError(f"{path}: the user's `{key}` is not supported; use a client certificate or a token")
    if cluster.get("proxy-url"):
        raise UsageError(f"{path}: `proxy-url` is not supported")
    url = str(cluster.get("server") or "")
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"{path}: the cluster has no `server` with https:// or http://")
    token_file = user.get("tokenFile")
    return ClientConfig(
        url=url.rstrip("/"),
        ca=_material(path, cluster, "certificate-authority"),
        certificate=_material(path, user, "client-certificate"),
        key=_material(path, user, "client-key"),
        token=str(user.get("token") or ""),
        token_file=_beside(path, str(token_file)) if token_file else None,
        command=_exec_plugin(path, user.get("exec")),
        username=str(user.get("username") or ""),
        password=str(user.get("password") or ""),
        verify=not cluster.get("insecure-skip-tls-verify"),
        server_name=str(cluster.get("tls-server-name") or ""),
    )


def _exec_plugin(path: Path, plugin: Any) -> ExecPlugin | None:
    if not plugin:
        return None
    name = str(plugin.get("command") or "") if isinstance(plugin, dict) else ""
    if not name:
        raise UsageError(f"{path}: the user's `exec` names no command")
    if plugin.get("interactiveMode") == "Always":
        raise UsageError(f"{path}: the user's `exec` wants to ask a person, whom a service has not")
    if "/" in name:
        name = str(_beside(path, name))
    arguments = (name, *map(str, plugin.get("args") or ()))
    environment = tuple((str(variable.get("name")), str(variable.get("value"))) for variable in plugin.get("env") or ())
    return ExecPlugin(arguments, environment, str(plugin.get("apiVersion") or ""))


def _read(path: Path) -> Mapping[str, Any]:
    text = _bytes(path)
    try:
        config: Any = msgspec.json.decode(depth_limit.check_depth(text))
    except msgspec.DecodeError:
        config = _read_yaml(path, text)
    if not isinstance(config, dict):
        raise UsageError(f"{path} is not a kubeconfig: it is no mapping")
    return config


def _read_yaml(path: Path, text: bytes) -> Any:
    try:
        return yaml_documents.yaml_document(text.decode())
    except (yaml_documents.NotYaml, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {str(error).splitlines()[0]}") from None


def _named_entry(path: Path, config: Mapping[str, Any], section: str, name: str) -> Mapping[str, Any]:
    entries = config.get(section)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name:
            return entry
    raise UsageError(f"{path} has no entry {name!r} in `{section}`")


def _material(path: Path, holder: Mapping[str, Any], key: str) -> bytes:
    """PEM from `<key>-data` (base64, it wins) or from the file that `<key>` names, relative to the kubeconfig."""
    inline, file = holder.get(f"{key}-data"), holder.get(key)
    if inline:
        try:
            return base64.b64decode(str(inline), validate=True)
        except (binascii.Error, ValueError):
            raise UsageError(f"{path}: `{key}-data` is not base64") from None
    return _bytes(_beside(path, str(file))) if file else b""


def _beside(path: Path, file: str) -> Path:
    return path.parent / file


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
