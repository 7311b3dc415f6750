"""What may be set on an edge node."""

from __future__ import annotations

from kubeedge_actors.config import DMI_SOCKET, HUB_PORT, METASERVER_PORT, TUNNEL_PORT, EdgeConfig
from kubeedge_actors.options.setting import DATA, KEYS, OWN, WATCHING, Setting, SettingsTable, config_file
from kubeedge_actors.options.value_kinds import (
    FILE,
    FILES,
    FOLDER,
    HOST_AND_PORT,
    LABELS,
    MODE,
    NAME,
    NUMBER,
    PORT,
    SECONDS,
    SIZE,
    YES_OR_NO,
    choice_kind,
    text_kind,
    url_kind,
)

NODE = (
    Setting("name", NAME, "of the node (default: this machine's host name)"),
    DATA,
    KEYS,
    config_file("edgecore.yaml"),
    Setting(
        "node-ip",
        text_kind("ADDRESS"),
        "address that the node tells (default: the one from which it reaches the cloud; with a cloud on loopback the one by which it goes out)",
    ),
    Setting("labels", LABELS, "a label that the node gives itself; repeatable", option="label"),
)
LINK = (
    Setting("cloud", url_kind("https"), "where certificates come from: https://HOST:10002"),
    Setting("hub", url_kind("wss"), f"message channel (default: wss://, the cloud's host, port {HUB_PORT})"),
    Setting(
        "tunnel",
        url_kind("wss"),
        f"stream tunnel, for kubectl logs (default: wss://, the cloud's host, port {TUNNEL_PORT})",
    ),
    Setting("streams", YES_OR_NO, "the tunnel; without it no kubectl logs from this node (default: with it)"),
    Setting("token", text_kind("TOKEN"), "join token, for the first start only; ps shows it: --token-file does not"),
    Setting("token-file", FILE, "file with the join token"),
    Setting("heartbeat", SECONDS, "between two signs of life to the cloud (default: {})"),
    Setting("project", text_kind("ID"), "project id in the address of the message channel (default: {})"),
    Setting("remote-query-timeout", SECONDS, "until a question to the cloud has failed (default: {})"),
    Setting("ca-file", FILE, "CA of a cloud that this node joined with KubeEdge's edgecore; copied at the first start"),
    Setting("cert-file", FILE, "the certificate that edgecore got there; copied at the first start"),
    Setting("key-file", FILE, "its key; copied at the first start"),
)
PODS = (
    Setting(
        "runtime",
        choice_kind("auto", "docker", "process"),
        "how pods run: auto takes Docker when an engine answers (default: {})",
    ),
    Setting("docker-host", text_kind("URL"), "Docker engine (default: $DOCKER_HOST, then unix:///var/run/docker.sock)"),
    Setting("manifests", FOLDER, "static pods: every manifest in this folder runs"),
    Setting(
        "container-log-max-size",
        SIZE,
        "of a file of a container's log, such as 10Mi; a full one is put aside (default: 10Mi)",
    ),
    Setting("container-log-max-files", FILES, "of a container's log, the one being written among them (default: {})"),
    Setting("report-events", YES_OR_NO, "tell Events of pods to a genuine cloudcore, too (default: not)"),
    Setting("node-tasks", YES_OR_NO, "do what jobs of the cluster want of this node, as pulling images (default: yes)"),
)
EMBEDDED = (
    Setting("mqtt-port", PORT, "its port (default: {})"),
    Setting("mqtt-host", text_kind("ADDRESS"), "where it listens (default: {}); others need passwords"),
    Setting("mqtt-passwords", FILE, "who may connect: a file of mosquitto_passwd (default: anybody)"),
    Setting("mqtt-acl", FILE, "who may do what: a file as mosquitto's acl_file (default: everything)"),
    Setting("mqtt-tls-cert", FILE, "serve TLS with this certificate; the plain port stays on loopback"),
    Setting("mqtt-tls-key", FILE, "its key, when the certificate's file does not hold it"),
    Setting("mqtt-tls-ca", FILE, "clients need a certificate of this authority"),
    Setting("mqtt-tls-port", PORT, "port for TLS (default: {})"),
    Setting("mqtt-max-inflight-messages", NUMBER, "on their way to one client, unacknowledged (default: {})"),
    Setting("mqtt-max-queued-messages", NUMBER, "that wait for one client beyond those (default: {})"),
    Setting("mqtt-max-queued-bytes", NUMBER, "bytes that wait for one client (default: {})"),
    Setting(
        "mqtt-slow-subscriber-timeout",
        SECONDS,
        "that publishers wait for a connected client whose queue is full; then it loses (default: {})",
    ),
)
EXTERNAL = (
    Setting("mqtt", text_kind("URL"), "use this one: tcp://HOST:PORT, ssl://USER:PASSWORD@HOST:PORT"),
    Setting("mqtt-mode", MODE, "0 embedded, 1 both, 2 external (default: 2 with --mqtt, else 0)"),
    Setting("mqtt-login", FILE, "user and password for it, as one line USER:PASSWORD"),
    Setting("mqtt-user", text_kind("NAME"), "user, when there is no such file"),
    Setting(
        "mqtt-password",
        text_kind("PASSWORD"),
        "the user's password",
        no_option="ps would show it; --mqtt-login takes it from a file",
    ),
    Setting("mqtt-ca", FILE, "authority of its certificate (default: the system's)"),
    Setting("mqtt-cert", FILE, "certificate to show it"),
    Setting("mqtt-key", FILE, "its key, when the certificate's file does not hold it"),
)
LOCAL = (
    Setting(
        "dmi", text_kind("SOCKET"), f"serve device mappers, at {DMI_SOCKET} or here (default: not)", bare=DMI_SOCKET
    ),
    Setting(
        "metaserver",
        HOST_AND_PORT,
        f"serve a Kubernetes API for programs of this node: what it knows, and by its cloud the rest (default: not; 127.0.0.1:{METASERVER_PORT})",
        bare=f"127.0.0.1:{METASERVER_PORT}",
    ),
    Setting("metaserver-tls-cert", FILE, "serve it by TLS with this certificate; an address of the network needs it"),
    Setting("metaserver-tls-key", FILE, "its key, when the certificate's file does not hold it"),
    Setting(
        "metaserver-readers",
        text_kind("NAMESPACE/ACCOUNT", many=True),
        "a service account whose tokens read everything there, Secrets too; repeatable",
        option="metaserver-reader",
    ),
    Setting("service-host", text_kind("ADDRESS"), "where programs of the node reach the ServiceBus (default: {})"),
    Setting("service-port", PORT, "its port (default: {})"),
    Setting("service-timeout", SECONDS, "until a call of the ServiceBus has failed (default: {})"),
)
EDGE = SettingsTable(
    EdgeConfig,
    {
        "": NODE,
        "The cloud": LINK,
        "Pods": PODS,
        "MQTT, the embedded broker": EMBEDDED,
        "MQTT, an external broker": EXTERNAL,
        "Mappers and programs on this node": LOCAL,
        "Modules of your own": OWN,
        "Watching": WATCHING,
    },
)
