"""What may be set on the cloud side."""

from __future__ import annotations

from kubeedge_actors.config import STREAM_PORT, TUNNEL_PORT, CloudConfig
from kubeedge_actors.options.setting import DATA, KEYS, OWN, WATCHING, Setting, SettingsTable, config_file
from kubeedge_actors.options.value_kinds import FILE, KUBELET_ADDRESS, NUMBER, PORT, SECONDS, YES_OR_NO, text_kind

OWN_SIDE = (
    DATA,
    KEYS,
    config_file("cloudcore.yaml"),
    Setting("host", text_kind("HOST"), "address to bind, and that nodes and kubectl dial (default: {})"),
    Setting(
        "advertise",
        text_kind("NAME", many=True),
        "another address or name under which nodes reach this cloud: a Service's, a load balancer's; repeatable",
    ),
    Setting("api-port", PORT, "embedded Kubernetes API (default: {})"),
    Setting(
        "token-auth-file",
        FILE,
        "users of the embedded API by bearer token: lines of TOKEN,USER,UID,GROUPS (default: none)",
    ),
    Setting("hub-port", PORT, "message channel of the nodes, WebSocket (default: {})"),
    Setting("https-port", PORT, "certificate bootstrap (default: {})"),
    Setting("tunnel-port", PORT, f"stream tunnels of the nodes, 0: none (default: {TUNNEL_PORT} if it is free)"),
)
CLUSTER = (
    Setting("kubeconfig", FILE, "serve the edge nodes of this cluster instead of the embedded API"),
    Setting("context", text_kind("NAME"), "context of the kubeconfig (default: its current one)"),
    Setting("in-cluster", YES_OR_NO, "serve the cluster that this pod runs in (default: not)"),
)
STREAMS = (
    Setting(
        "stream-port",
        PORT,
        f"where its API server asks for kubectl logs and exec, 0: nowhere (default: {STREAM_PORT} if it is free)",
    ),
    Setting("stream-client-ca", FILE, "CA of the API server's client certificate (default: that of the cluster)"),
    Setting(
        "stream-cert", FILE, "certificate for that port, signed by the CA that the API server verifies kubelets with"
    ),
    Setting("stream-key", FILE, "its key"),
    Setting(
        "kubelet-address",
        KUBELET_ADDRESS,
        "write [TYPE=]HOST[:PORT] into each Node, where the API server reaches that port (default: none, for iptables)",
    ),
    Setting("iptables", YES_OR_NO, "keep the rules that lead this machine's API server to that port (default: not)"),
)
RULES = (
    Setting("router-port", PORT, "requests for Rules, by TLS: for who may `post` to the Rule, 0: none (default: {})"),
    Setting(
        "router-open",
        PORT,
        "requests for Rules, by plain HTTP on loopback: for every program of this machine, as in KubeEdge, 0: none (default: {})",
    ),
    Setting("router-timeout", SECONDS, "until a request that a node does not answer has failed (default: {})"),
    Setting("router-retry", SECONDS, "for which a Rule's target that does not answer is tried (default: {})"),
)
NODES = (
    Setting(
        "dynamic-controller",
        YES_OR_NO,
        "calls of the API by programs of nodes, through their MetaServer and with their tokens (default: with them)",
    ),
    Setting("node-limit", NUMBER, "nodes that may be connected at once (default: {})"),
    Setting("keepalive", SECONDS, "a node that is silent for so long is disconnected (default: {})"),
    Setting("certificate-days", NUMBER, "days for which a node's certificate is good (default: {})"),
)
CLOUD = SettingsTable(
    CloudConfig,
    {
        "": OWN_SIDE,
        "A real cluster": CLUSTER,
        "Its kubectl logs and exec": STREAMS,
        "Rules": RULES,
        "Nodes": NODES,
        "Modules of your own": OWN,
        "Watching": WATCHING,
    },
)
