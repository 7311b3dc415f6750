"""The embedded Kubernetes API: start, memory, creates, lists, watches, kubectl; over TLS with a client certificate.

    python benchmarks/apiserver.py [--json]

The baseline is kube-apiserver 1.35 with etcd 3.6, as recorded on another machine of the same kind with the same client.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from _rows import Row, show

from kubeedge_actors.apiserver import kubeconfig
from kubeedge_actors.drivers.pki.file_authority import FileAuthority

TAKES = 60
PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
SOURCE = "kube-apiserver 1.35 with etcd 3.6, the same client"
GENUINE = {
    "start": 4.2,
    "rss": 296.0,
    "create": 166.0,
    "create16": 216.0,
    "list": 42.0,
    "table": 26.0,
    "watch": 6.2,
    "watch100": 26.0,
    "kubectl": 0.07,
    "delete": 3.6,
}


class Client:
    """One kept-alive connection."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)

    def call(self, method: str, path: str, body: object = None, accept: str = "application/json") -> bytes:
        """One request that must succeed."""
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json", "Accept": accept}
        self._connection.request(method, path, data, headers)
        response = self._connection.getresponse()
        content = response.read()
        assert response.status < 300, content
        return content

    def events(self, path: str) -> Iterator[Any]:
        """The events of a watch."""
        self._connection.request("GET", path)
        for line in self._connection.getresponse():
            yield msgspec.json.decode(line)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


class Bench:
    """A server in a process of its own, and what is measured of it."""

    def __init__(self, folder: Path) -> None:
        self.authority = FileAuthority(folder / "certs")
        tls, admin = self.authority.server_certificate(["127.0.0.1", "localhost"]), self.authority.client_certificate()
        self.context = ssl.create_default_context(cafile=str(tls.ca))
        self.context.load_cert_chain(str(admin.cert), str(admin.key))
        self.pems = [Path(path).read_bytes() for path in (tls.ca, admin.cert, admin.key)]
        files = ["--tls-cert", str(tls.cert), "--tls-key", str(tls.key), "--client-ca", str(tls.ca)]
        command = [sys.executable, "-m", "kubeedge_actors.apiserver", "--data-dir", str(folder / "data"), "--port", "0"]
        began = time.perf_counter()
        self.process = subprocess.Popen([*command, *files], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        match = re.search(r":(\d+)", self.process.stdout.readline())
        assert match is not None, "the server did not start"
        self.port = int(match[1])
        self.client = Client(self.port, self.context)
        self.client.call("GET", "/api/v1/nodes")
        self.start_seconds = time.perf_counter() - began

    def rss(self) -> float:
        """Resident memory of the server, MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    def close(self) -> None:
        """Ends the server."""
        self.client.close()
        self.process.terminate()
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.authority.close()


def pod(name: str) -> dict[str, Any]:
    """A pod as the baseline's."""
    container = {"name": "c", "image": "example.com/web:1", "env": [{"name": "A", "value": "b"}]}
    meta = {"name": name, "labels": {"app": "bench"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}}


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def median(work: Callable[[], object], times: int) -> float:
    """Milliseconds, p50."""
    return statistics.median(timed(work) for _ in range(times))


def created(bench: Bench, count: int) -> float:
    """Pods a second, one client."""
    began = time.perf_counter()
    for index in range(count):
        bench.client.call("POST", PODS, pod(f"p{index}"))
    return count / (time.perf_counter() - began)


def created_by_many(bench: Bench, count: int, clients: int = 16) -> float:
    """Pods a second, several clients at once."""
    connections = [Client(bench.port, bench.context) for _ in range(clients)]

    def work(number: int) -> None:
        for index in range(count // clients):
            connections[number].call("POST", PODS, pod(f"q{number}-{index}"))

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(work, range(clients)))
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return count / seconds


@contextmanager
def watchers(bench: Bench, count: int, seen: Callable[[float], None]) -> Iterator[None]:
    """Threads that watch config maps and tell when an event arrived."""
    version = msgspec.json.decode(bench.client.call("GET", MAPS))["metadata"]["resourceVersion"]
    clients = [Client(bench.port, bench.context) for _ in range(count)]

    def run(client: Client) -> None:
        for _ in client.events(f"{MAPS}?watch=true&resourceVersion={version}&timeoutSeconds=6"):
            seen(time.perf_counter())

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(0.5 + count / 200)
    yield
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()


def delivery(bench: Bench, count: int, rounds: int, name: str) -> tuple[float, float]:
    """Milliseconds from the request to the event: p50 of all deliveries, p50 of the last of each round."""
    arrived: list[float] = []
    all_times, last_times = [], []
    with watchers(bench, count, arrived.append):
        for index in range(rounds):
            arrived.clear()
            began = time.perf_counter()
            bench.client.call("POST", MAPS, {"metadata": {"name": f"{name}{index}"}, "data": {"a": "1"}})
            while len(arrived) < count:
                time.sleep(0.0005)
            all_times += [(at - began) * 1000 for at in arrived]
            last_times.append((max(arrived) - began) * 1000)
    return statistics.median(all_times), statistics.median(last_times)


def kubectl_seconds(bench: Bench, folder: Path) -> float | None:
    """`kubectl get nodes` with a warm cache, p50; None without kubectl."""
    if shutil.which("kubectl") is None:
        return None
    home = folder / "home"
    home.mkdir()
    config = home / "kubeconfig"
    config.write_text(kubeconfig(f"https://127.0.0.1:{bench.port}", *bench.pems))
    environment = {"HOME": str(home), "KUBECONFIG": str(config), "PATH": os.environ["PATH"]}

    def get_nodes() -> None:
        subprocess.run(["kubectl", "get", "nodes"], env=environment, check=True, capture_output=True)

    get_nodes()
    return median(get_nodes, 9) / 1000


def row(name: str, key: str, value: float, unit: str, budget: str, more_is_better: bool = False) -> Row:
    """A figure beside the genuine server's."""
    baseline = GENUINE[key]
    ratio = value / baseline if more_is_better else baseline / value
    return Row(name, value, unit, budget or None, baseline, ratio, SOURCE)


def measured(folder: Path) -> Iterator[Row]:
    """All figures."""
    bench = Bench(folder)
    try:
        yield row("start to first answer", "start", bench.start_seconds, "s", "<= 1 s")
        time.sleep(1)
        yield row("RSS, idle", "rss", bench.rss(), "MB", "<= 40 MB")
        if (seconds := kubectl_seconds(bench, folder)) is not None:
            yield row("kubectl get nodes, warm", "kubectl", seconds, "s", "<= 0.1 s")
        yield row("create pods, one client", "create", created(bench, 1000), "pods/s", ">= 150/s", True)
        listing = median(lambda: bench.client.call("GET", PODS), 21)
        yield row("list 1,000 pods, JSON, p50", "list", listing, "ms", "<= 45 ms")
        table = median(lambda: bench.client.call("GET", PODS, accept=TABLE), 21)
        yield row("list 1,000 pods, Table, p50", "table", table, "ms", "<= 30 ms")
        yield row("create pods, 16 clients", "create16", created_by_many(bench, 960), "pods/s", "", True)
        yield row("watch, request to event, p50", "watch", delivery(bench, 1, 200, "w")[0], "ms", "<= 6 ms")
        yield row("100 watchers, last event, p50", "watch100", delivery(bench, 100, 20, "x")[1], "ms", "<= 26 ms")
        yield row(
            "delete 1,960 pods as a collection",
            "delete",
            timed(lambda: bench.client.call("DELETE", PODS)) / 1000,
            "s",
            "",
        )
        yield row("RSS, after all of this", "rss", bench.rss(), "MB", "")
    finally:
        bench.close()


def main() -> None:
    """Measures and shows."""
    with tempfile.TemporaryDirectory() as folder:
        show("Embedded Kubernetes API", list(measured(Path(folder))))


if __name__ == "__main__":
    main()
