"""cloudcore.yaml: which of its keys mean something to a cloud of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubeedge_actors.componentconfig.keys import (
    ConfigKeys,
    Taken,
    known_keys,
    positive_seconds,
    text_list,
    whole_number,
    yes_or_no,
)

HUB = "modules.cloudHub."
TAKEN: Taken = {
    "kubeAPIConfig.kubeConfig": ("kubeconfig", str),
    f"{HUB}websocket.port": ("hub_port", whole_number),
    f"{HUB}websocket.address": ("host", str),
    f"{HUB}https.port": ("https_port", whole_number),
    f"{HUB}nodeLimit": ("node_limit", whole_number),
    f"{HUB}keepaliveInterval": ("keepalive", positive_seconds),
    f"{HUB}edgeCertSigningDuration": ("certificate_days", whole_number),
    "modules.dynamicController.enable": ("dynamic_controller", yes_or_no),
}
STREAM, STREAM_PORT, TUNNEL_PORT = "modules.cloudStream.", 10003, 10004
ROUTER, ROUTER_PORT = "modules.router.", 9443
IPTABLES, INTERNAL = "modules.iptablesManager.", "internal"
STREAM_FILES = {
    "tlsStreamCAFile": "stream_client_ca",
    "tlsStreamCertFile": "stream_cert",
    "tlsStreamPrivateKeyFile": "stream_key",
}
MONITOR = "commonConfig.monitorServer.bindAddress"
CONTROLLERS = ("edgeController", "deviceController", "syncController", "taskManager")
ENABLED = ("cloudHub", "cloudHub.websocket", "cloudHub.https", *CONTROLLERS)
NOT_HERE = ("cloudHub.quic",)
FIXED = {
    **{f"modules.{name}.enable": True for name in ENABLED},
    **{f"modules.{name}.enable": False for name in NOT_HERE},
    f"{HUB}authorization.enable": True,
    f"{HUB}authorization.debug": False,
    f"{HUB}tokenRefreshDuration": 12,
}
"""What is so in any case here; a file that says otherwise is told. A node reads and writes only what is its own."""
KNOWN = known_keys(
    """
    commonConfig: tunnelPort
    kubeAPIConfig: burst contentType kubeConfig master qps
    modules.cloudHub: enable tlsCAFile tlsCAKeyFile tlsCertFile tlsPrivateKeyFile tokenRefreshDuration writeTimeout
    modules.cloudHub.authorization: debug enable modes
    modules.cloudHub.https: address enable
    modules.cloudHub.quic: address enable maxIncomingStreams port
    modules.cloudHub.unixsocket: address enable
    modules.cloudHub.websocket: enable
    modules.cloudStream: enable streamPort tunnelPort tlsStreamCAFile tlsStreamCertFile tlsStreamPrivateKeyFile
    modules.cloudStream: tlsTunnelCAFile tlsTunnelCertFile tlsTunnelPrivateKeyFile
    modules.deviceController: enable
    modules.dynamicController: enable
    modules.edgeController: enable nodeUpdateFrequency
    modules.iptablesManager: enable mode
    modules.router: address enable port restTimeout
    modules.syncController: enable
    modules.taskManager: enable
    """
)
FREE = (
    "featureGates",
    *(
        f"modules.{name}.{part}"
        for name in ("deviceController", "edgeController", "taskManager")
        for part in ("buffer", "load")
    ),
    "modules.nodeUpgradeJobController",
    "modules.imagePrePullController",
    f"{HUB}authorization",
)


def convert_cloudcore(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Fields of CloudConfig that the file gives; the keys without effect are named in warnings."""
    keys = ConfigKeys(document, path, FREE)
    keys.drop_fixed(FIXED)
    fields = keys.take_fields(TAKEN)
    if "host" in fields:
        keys.drop_fixed({f"{HUB}https.address": fields["host"]})
    names = [*(keys.take(f"{HUB}advertiseAddress", text_list) or ()), *(keys.take(f"{HUB}dnsNames", text_list) or ())]
    if names:
        fields["advertise"] = tuple(names)
    if (enabled := keys.take(f"{STREAM}enable", yes_or_no)) is not None:
        fields["tunnel_port"] = (keys.take(f"{STREAM}tunnelPort", whole_number) or TUNNEL_PORT) if enabled else 0
        fields |= _stream_server(keys, enabled)
    fields |= _router(keys)
    if monitor := keys.take(MONITOR, lambda value: urlsplit(f"//{value}")):
        fields |= {"metrics_host": monitor.hostname or "127.0.0.1", "metrics_port": monitor.port or 0}
    keys.warn_unused(KNOWN, FREE)
    return fields


def _router(keys: ConfigKeys) -> dict[str, Any]:
    """Where requests for rules come: by TLS here; who wants it open, as it is there, says so by an option."""
    enabled = keys.take(f"{ROUTER}enable", yes_or_no)
    port, timeout = keys.take(f"{ROUTER}port", whole_number), keys.take(f"{ROUTER}restTimeout", positive_seconds)
    keys.drop_fixed({f"{ROUTER}address": "0.0.0.0"})
    return {"router_port": port or ROUTER_PORT, "router_timeout": timeout or 60.0} if enabled else {}


def _stream_server(keys: ConfigKeys, enabled: bool) -> dict[str, Any]:
    """Where the API server asks, and whether the rules that lead it there are ours to keep. Of files that are not there, as the original's
    defaults name them on a machine without streams, nothing is taken.
    """
    port = keys.take(f"{STREAM}streamPort", whole_number) or STREAM_PORT
    files = {field: keys.take(f"{STREAM}{key}") or "" for key, field in STREAM_FILES.items()}
    manager = keys.take(f"{IPTABLES}enable", yes_or_no) and (keys.take(f"{IPTABLES}mode") or INTERNAL) == INTERNAL
    if not enabled:
        return {"stream_port": 0}
    there = {field: path for field, path in files.items() if Path(path).is_file()}
    return {"stream_port": port, "iptables": bool(manager), **there}
