"""edgecore.yaml: which of its keys mean something to an edge node of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubeedge_actors.componentconfig.keys import (
    WHOLE,
    ConfigKeys,
    Taken,
    known_keys,
    positive_seconds,
    size_in_bytes,
    two_or_more,
    url_converter,
    whole_number,
    yes_or_no,
)

DATA_SOURCE = "/var/lib/kubeedge/edgecore.db"
DMI_FOLDER, DMI_SOCKET = "/etc/kubeedge/", "dmi.sock"
"""KubeEdge's defaults. Ours are kept where `--data-dir` and `--dmi` say, unless the file names another place."""
READ_API = "127.0.0.1:10550"
(LABELS,) = WHOLE
HUB, BUS, SERVICE, META = (f"modules.{name}." for name in ("edgeHub", "eventBus", "serviceBus", "metaManager"))
STREAM = "modules.edgeStream."
TAKEN: Taken = {
    "modules.edged.hostnameOverride": ("name", str),
    "modules.edged.nodeIP": ("node_ip", str),
    "modules.edged.tailoredKubeletConfig.staticPodPath": ("manifests", str),
    "modules.edged.tailoredKubeletConfig.containerLogMaxSize": ("container_log_max_size", size_in_bytes),
    "modules.edged.tailoredKubeletConfig.containerLogMaxFiles": ("container_log_max_files", two_or_more),
    "modules.edged.dockerAddress": ("docker_host", str),
    "modules.edged.reportEvent": ("report_events", yes_or_no),
    "modules.taskManager.enable": ("node_tasks", yes_or_no),
    f"{HUB}heartbeat": ("heartbeat", positive_seconds),
    f"{HUB}projectID": ("project", str),
    f"{META}remoteQueryTimeout": ("remote_query_timeout", positive_seconds),
    f"{SERVICE}timeout": ("service_timeout", positive_seconds),
    f"{SERVICE}port": ("service_port", whole_number),
    f"{SERVICE}server": ("service_host", str),
}
CLOUD: Taken = {
    f"{HUB}httpServer": ("cloud", url_converter("https")),
    f"{HUB}websocket.server": ("hub", url_converter("wss")),
    f"{HUB}token": ("token", str),
    f"{HUB}tlsCaFile": ("ca_file", str),
    f"{HUB}tlsCertFile": ("cert_file", str),
    f"{HUB}tlsPrivateKeyFile": ("key_file", str),
}
LOGIN = {"mqttUsername": "mqtt_user", "mqttPassword": "mqtt_password"}
TLS = {"tlsMqttCAFile": "mqtt_ca", "tlsMqttCertFile": "mqtt_cert", "tlsMqttPrivateKeyFile": "mqtt_key"}
INTERNAL, EXTERNAL = 0, 2
FIXED = {
    "database.driverName": "sqlite3",
    **{f"modules.{name}.enable": True for name in ("edged", "eventBus", "metaManager", "deviceTwin", "serviceBus")},
    **{f"modules.{name}.enable": False for name in ("dbTest", "edgeHub.quic")},
    f"{HUB}websocket.enable": True,
    f"{HUB}rotateCertificates": True,
    f"{META}contextSendGroup": "hub",
    f"{META}contextSendModule": "websocket",
    "modules.edged.tailoredKubeletConfig.registerNode": True,
    "modules.edged.registerSchedulable": True,
}
"""What is so in any case here; a file that says otherwise is told."""
KNOWN = known_keys(
    """
    database: aliasName dataSource driverName
    modules.edged: customInterfaceName enable experimentalMounterPath experimentalNodeAllocatableIgnoreEvictionThreshold
    modules.edged: maxContainerCount maxPerPodContainerCount minimumGCAge podSandboxImage registerNodeNamespace
    modules.edged: registerSchedulable rootDirectory runtimeCgroups seccompDefault windowsPriorityClass windowsService
    modules.edgeHub: enable messageBurst messageQPS rotateCertificates
    modules.edgeHub.quic: enable handshakeTimeout readDeadline server writeDeadline
    modules.edgeHub.websocket: enable handshakeTimeout readDeadline server writeDeadline
    modules.eventBus: enable mqttMode mqttPassword mqttPubClientID mqttQOS mqttRetain mqttServerExternal mqttServerInternal
    modules.eventBus: mqttSessionQueueSize mqttSubClientID mqttUsername
    modules.eventBus.eventBusTLS: enable tlsMqttCAFile tlsMqttCertFile tlsMqttPrivateKeyFile
    modules.metaManager: contextSendGroup contextSendModule enable
    modules.metaManager.metaServer: apiAudiences dummyServer serviceAccountIssuers serviceAccountKeyFiles
    modules.metaManager.metaServer: tlsCaFile tlsCertFile tlsPrivateKeyFile
    modules.deviceTwin: dmiSockPath enable
    modules.edgeStream: enable handshakeTimeout readDeadline server writeDeadline
    modules.edgeStream: tlsTunnelCAFile tlsTunnelCertFile tlsTunnelPrivateKeyFile
    modules.serviceBus: enable
    modules.dbTest: enable
    modules.taskManager: enable
    """
) | {"edgecoreVersion"}
FREE = ("modules.edged.tailoredKubeletConfig", "featureGates")
OLD = "modules.edged"
"""In v1alpha1 the settings of the kubelet stand here, and there are many."""


def convert_edgecore(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Fields of EdgeConfig that the file gives; the keys without effect are named in warnings."""
    keys = ConfigKeys(document, path, FREE)
    keys.drop_fixed(FIXED)
    fields = keys.take_fields(TAKEN) | _cloud(keys) | _brokers(keys)
    if address := _metaserver(keys):
        fields.update(metaserver=address)
    fields |= _tunnel(keys)
    if (labels := keys.take(LABELS, _labels)) is not None:
        fields["labels"] = labels
    if source := keys.take_non_default("database.dataSource", DATA_SOURCE):
        fields["data_dir"] = Path(source).absolute().parent
    if folder := keys.take_non_default("modules.deviceTwin.dmiSockPath", DMI_FOLDER):
        fields["dmi"] = str(Path(folder).absolute() / DMI_SOCKET)
    if keys.take("modules.edged.runtimeType") == "docker":
        fields["runtime"] = "docker"
    old = str(document.get("apiVersion", "")).endswith("/v1alpha1")
    keys.warn_unused(KNOWN, (*FREE, OLD) if old else FREE)
    return fields


def _cloud(keys: ConfigKeys) -> dict[str, Any]:
    """Where the cloud is; nothing when edgeHub is disabled."""
    fields = keys.take_fields(CLOUD)
    return fields if keys.take(f"{HUB}enable", yes_or_no) is not False else {}


def _brokers(keys: ConfigKeys) -> dict[str, Any]:
    """The internal broker in modes 0 and 1, the external one in modes 1 and 2 (as KubeEdge counts)."""
    mode = keys.take(f"{BUS}mqttMode", whole_number)
    inside, outside = (keys.take(f"{BUS}mqttServer{side}", url_converter("tcp")) for side in ("Internal", "External"))
    login = keys.take_fields({f"{BUS}{key}": (field, str) for key, field in LOGIN.items()})
    files = keys.take_fields({f"{BUS}eventBusTLS.{key}": (field, str) for key, field in TLS.items()})
    secure = keys.take(f"{BUS}eventBusTLS.enable", yes_or_no)
    fields: dict[str, Any] = {}
    if inside and mode != EXTERNAL:
        server = urlsplit(inside)
        fields = {"mqtt_port": server.port, "mqtt_host": server.hostname}
    if outside and mode not in (None, INTERNAL):
        fields |= {"mqtt": outside.replace("tcp://", "ssl://", 1) if secure else outside, **login}
        fields |= {"mqtt_mode": mode, **(files if secure else {})}
    return {field: value for field, value in fields.items() if value is not None}


def _metaserver(keys: ConfigKeys) -> str:
    """Where to serve the read API; nothing unless it is enabled."""
    enabled, server = keys.take(f"{META}metaServer.enable", yes_or_no), keys.take(f"{META}metaServer.server", str)
    return str(server or READ_API) if enabled else ""


def _tunnel(keys: ConfigKeys) -> dict[str, Any]:
    """Whether streams are served, and through which tunnel."""
    enabled = keys.take(f"{STREAM}enable", yes_or_no)
    server = keys.take(f"{STREAM}server", url_converter("wss")) if enabled else None
    return {"streams": enabled, **({"tunnel": server} if server else {})} if enabled is not None else {}


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, dict):
        raise TypeError("it is no mapping")
    return tuple(f"{name}={text}" for name, text in value.items())
