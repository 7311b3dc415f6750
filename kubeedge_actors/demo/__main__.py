"""python -m kubeedge_actors.demo: a cloud, an edge node, a pod and a device on this machine, and a link that is cut.

Cloud and edge are two real processes with real TLS on free ports; the demo itself is only an administrator (Kubernetes API), a thermometer
(MQTT) and the cable between them (a TCP relay).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kubeedge_actors.options.parsers import parser

if __name__ == "__main__":
    parser("demo").parse_args()  # ends here for --help, before any library is needed
from kubeedge_actors.demo.environment import DemoEnvironment, DemoFailed, Thermometer, running_pids
from kubeedge_actors.entrypoint import Shutdown, run
from kubeedge_actors.errors import ClusterError
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND, DEVICE_KIND, DEVICEMODEL_KIND, NODE_KIND, POD_KIND
from kubeedge_actors.wire import constants, topics

NODE, NAMESPACE, POD, DEVICE = "edge-1", "default", "hello", "t1"
SERVER = """
import http.server, os
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["GREETING"].encode())
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Hello).serve_forever()
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit status is 0 only if everything worked."""
    options = parser("demo").parse_args(arguments)
    return run("demo", lambda shutdown: perform(options, shutdown))


def perform(options: argparse.Namespace, shutdown: Shutdown) -> None:
    """All steps in order, then wait; everything started here is stopped here."""
    folder = Path(tempfile.mkdtemp(prefix="kubeedge-actors-demo-"))
    stage = DemoEnvironment(folder, shutdown, options.runtime)
    try:
        _steps(stage)
        stage.print_step("everything worked", mark="✓")
        _invite(stage)
        shutdown.wait(options.exit_after)
    except DemoFailed as failure:
        if not shutdown.requested:
            stage.show_logs()
            shutdown.request(f"this step did not work: {failure}")
    finally:
        stage.close()
        if shutdown.failure is None:
            shutil.rmtree(folder, ignore_errors=True)


def _steps(stage: DemoEnvironment) -> None:
    _start(stage)
    _pod(stage)
    thermometer = Thermometer(stage.mqtt_port, NAMESPACE, DEVICE)
    stage.closers.append(thermometer.close)
    _twin_up(stage, thermometer)
    _twin_down(stage, thermometer)
    _offline(stage, thermometer)


def _start(stage: DemoEnvironment) -> None:
    stage.print_step("starting the cloud: Kubernetes API, CloudHub and controllers in one process")
    stage.start_cloud()
    stage.print_step(
        f"starting the edge node {NODE}: it fetches a certificate with the join token, then opens the link"
    )
    stage.start_edge(NODE)
    stage.wait_until("the node is Ready", lambda: _ready(stage.get(NODE_KIND, "", NODE)))


def _pod(stage: DemoEnvironment) -> None:
    stage.print_step(f"applying a ConfigMap and the pod {POD}, a small web server")
    stage.create(CONFIGMAP_KIND, _object("v1", "ConfigMap", "greeting", data={"text": "hello from the edge"}))
    stage.create(POD_KIND, _pod_manifest(stage.web_port))
    stage.closers.append(lambda: stage.remove(POD_KIND, NAMESPACE, POD))
    stage.wait_until("the pod is Running", lambda: _phase(stage.get(POD_KIND, NAMESPACE, POD)) == "Running")
    stage.wait_until(
        f"it serves on http://127.0.0.1:{stage.web_port}", lambda: _fetch(stage.web_port) == "hello from the edge"
    )


def _twin_up(stage: DemoEnvironment, thermometer: Thermometer) -> None:
    stage.print_step(f"creating the device {DEVICE}; a simulated thermometer reports 21 degrees over MQTT")
    properties = [{"name": "temperature", "type": "INT", "accessMode": "ReadOnly"}]
    properties.append({"name": "power", "type": "STRING", "accessMode": "ReadWrite"})
    model = {"protocol": "mqtt", "properties": properties}
    stage.create(DEVICEMODEL_KIND, _object("devices.kubeedge.io/v1beta1", "DeviceModel", "thermometer", spec=model))
    device = {
        "deviceModelRef": {"name": "thermometer"},
        "nodeName": NODE,
        "protocol": {"protocolName": "mqtt"},
        "properties": [{"name": "temperature", "reportToCloud": True}, {"name": "power"}],
    }
    stage.create(DEVICE_KIND, _object("devices.kubeedge.io/v1beta1", "Device", DEVICE, spec=device))
    stage.wait_until("the edge has accepted the update", lambda: thermometer.report(21))
    stage.wait_until("the cloud shows it in the Device's status", lambda: _reported(stage) == "21")


def _twin_down(stage: DemoEnvironment, thermometer: Thermometer) -> None:
    stage.print_step('desiring power "on" through the Kubernetes API')
    _desire(stage, "on")
    stage.wait_until(
        'the device hears "power": "on" on its delta topic', lambda: thermometer.desired.get("power") == "on"
    )


def _offline(stage: DemoEnvironment, thermometer: Thermometer) -> None:
    stage.print_step("cutting the link between cloud and edge")
    stage.proxy.partition()
    stage.wait_until("the edge still serves the pod", lambda: _fetch(stage.web_port) == "hello from the edge")
    stage.wait_until("the edge still accepts twin updates: 35 degrees", lambda: thermometer.report(35))
    victims = running_pids(SERVER, stage.web_port)
    stage.print_step(f"killing the pod's process {victims} while the cloud is away")
    stage.kill(victims)
    stage.wait_until(
        "the edge has restarted it by itself",
        lambda: running_pids(SERVER, stage.web_port) not in ([], victims) and bool(_fetch(stage.web_port)),
    )
    _desire(stage, "off")
    if _reported(stage) != "21":
        raise DemoFailed("the cloud must not know the new value while the link is cut")
    stage.print_step("mending the link")
    stage.proxy.heal()
    stage.wait_until("the cloud has what it missed: 35 degrees", lambda: _reported(stage) == "35")
    stage.wait_until('the device has what it missed: "power": "off"', lambda: thermometer.desired.get("power") == "off")
    stage.wait_until("the cloud knows of the restart", lambda: _restarts(stage.get(POD_KIND, NAMESPACE, POD)) >= 1)
    stage.wait_until("the node is Ready", lambda: _ready(stage.get(NODE_KIND, "", NODE)))


def _invite(stage: DemoEnvironment) -> None:
    kubectl = f"kubectl --kubeconfig {stage.kubeconfig}"
    topic = topics.device_topic(f"{NAMESPACE}/{DEVICE}", constants.TWIN_UPDATE)
    update = '{"event_id":"1","twin":{"temperature":{"actual":{"value":"42"},"metadata":{"type":"int"}}}}'
    lines = (
        f"{kubectl} get nodes,pods,devices -o wide",
        f"{kubectl} describe pod {POD}",
        f"{kubectl} get device {DEVICE} -o yaml",
        f"mosquitto_sub -p {stage.mqtt_port} -v -t '{topic}/#'",
        f"mosquitto_pub -p {stage.mqtt_port} -t '{topic}' -m '{update}'",
        f"curl http://127.0.0.1:{stage.web_port}",
    )
    print("\nTry it yourself, in another shell:\n", flush=True)
    for line in lines:
        print(f"    {line}")
    print(f"\nLogs: {stage.folder}/cloud.log and edge.log. Ctrl-C ends the demo.\n", flush=True)


def _object(version: str, kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **fields}


def _pod_manifest(port: int) -> dict[str, Any]:
    greeting = {"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "greeting", "key": "text"}}}
    container = {
        "name": "web",
        "image": "python:3",
        "imagePullPolicy": "IfNotPresent",
        "command": [sys.executable, "-c", SERVER],
        "env": [greeting, {"name": "PORT", "value": str(port)}],
    }
    return _object("v1", "Pod", POD, spec={"containers": [container], "hostNetwork": True})


def _ready(node: dict[str, Any] | None) -> bool:
    conditions = (node or {}).get("status", {}).get("conditions", ())
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _phase(pod: dict[str, Any] | None) -> str:
    return str((pod or {}).get("status", {}).get("phase", ""))


def _restarts(pod: dict[str, Any] | None) -> int:
    return sum(
        container.get("restartCount", 0) for container in (pod or {}).get("status", {}).get("containerStatuses", ())
    )


def _reported(stage: DemoEnvironment) -> str:
    device = stage.get(DEVICE_KIND, NAMESPACE, DEVICE) or {}
    twins = device.get("status", {}).get("twins", ())
    return next((str(t.get("reported", {}).get("value")) for t in twins if t["propertyName"] == "temperature"), "")


def _desire(stage: DemoEnvironment, power: str) -> None:
    properties = [{"name": "temperature", "reportToCloud": True}, {"name": "power", "desired": {"value": power}}]
    try:
        stage.cluster.patch(DEVICE_KIND, NAMESPACE, DEVICE, {"spec": {"properties": properties}})
    except ClusterError as error:
        raise DemoFailed(f"the API refused the desired value: {error}") from error


def _fetch(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""  # not up yet, or just killed: `until` asks again


if __name__ == "__main__":
    sys.exit(main())
