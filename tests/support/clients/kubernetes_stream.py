"""The Python client's `stream` and `portforward`, as its examples use them: CONFIG PORT."""

from __future__ import annotations

import sys
from importlib import import_module


def main(kubeconfig: str, port: int) -> None:
    client, config = import_module("kubernetes.client"), import_module("kubernetes.config")
    streams = import_module("kubernetes.stream")
    stream, portforward = streams.stream, streams.portforward
    config.load_kube_config(kubeconfig)
    core = client.CoreV1Api()
    run = core.connect_get_namespaced_pod_exec
    outputs = {"stderr": True, "stdout": True, "tty": False}
    print(stream(run, "talk", "default", command=["echo", "false", ""], stdin=False, **outputs), end="")
    script = ["sh", "-c", "read line; echo got $line; echo wrong >&2; exit 3"]
    talk = stream(run, "talk", "default", command=script, stdin=True, _preload_content=False, **outputs)
    talk.write_stdin("typed\n")
    talk.run_forever(timeout=30)
    print(talk.read_stdout().strip(), talk.read_stderr().strip(), talk.returncode)
    forwarded = portforward(core.connect_get_namespaced_pod_portforward, "talk", "default", ports=str(port))
    connection = forwarded.socket(port)
    connection.sendall(b"ping")
    print(connection.recv(100).decode())
    connection.close()
    print(core.read_namespaced_pod_log("talk", "default", limit_bytes=6))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
