"""kubectl exec, attach, cp and port-forward in a pod on an edge node, over WebSocket and over SPDY."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.test_logs import COUNTING, manifest
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.kubectl
OVER = {
    "websocket": {},
    "spdy": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"},
}
"""kubectl 1.31 and newer speak WebSocket unless they are told not to; older ones speak SPDY."""


@pytest.fixture(params=OVER)
def over(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which protocol every kubectl of the test speaks."""
    for name, value in OVER[request.param].items():
        monkeypatch.setenv(name, value)
    return str(request.param)


class PseudoTerminal:
    """A command in a terminal of ours."""

    def __init__(self, line: Sequence[str]) -> None:
        self.fd, inner = pty.openpty()
        self.resize(101, 33)
        self.process = subprocess.Popen(line, stdin=inner, stdout=inner, stderr=inner)
        os.close(inner)
        self.said = b""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, line: str) -> None:
        os.write(self.fd, f"{line}\n".encode())

    def await_said(self, text: bytes) -> None:
        def seen() -> bool:
            with suppress(OSError):  # it has ended
                while select.select([self.fd], [], [], 0)[0]:
                    self.said += os.read(self.fd, 4096)
            return text in self.said

        eventually(seen, f"{text!r} on the terminal")

    def close(self) -> int:
        code = self.process.wait(PATIENCE)
        os.close(self.fd)
        return code


def kubectl_terminal(env: CloudAndEdge, *arguments: str) -> PseudoTerminal:
    """A kubectl in a terminal of ours."""
    return PseudoTerminal(("kubectl", "--kubeconfig", str(env.cloud.data_dir / "kubeconfig"), *arguments))


@contextmanager
def forwarding(env: CloudAndEdge, *ports: int, program: str = "kubectl") -> Iterator[list[int]]:
    """The ports of this machine at which kubectl forwards to ports of the pod."""
    config = str(env.cloud.data_dir / "kubeconfig")
    wanted = [f":{port}" for port in ports]
    line = (program, "--kubeconfig", config, "port-forward", "--address", "127.0.0.1", "talk", *wanted)
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield [int(process.stdout.readline().split()[2].rpartition(":")[2]) for _ in ports]
    finally:
        process.kill()
        process.communicate()


@contextmanager
def echoing() -> Iterator[int]:
    """A server on loopback that sends back what it gets, until there is no more; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(client: socket.socket) -> None:
            with client:
                while data := client.recv(1 << 16):
                    client.sendall(data)

        def accept() -> None:
            with suppress(OSError):  # the test is over
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def echoed(port: int, data: bytes) -> bytes:
    """What comes back from a port for data."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:

        def write() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        writer = threading.Thread(target=write)
        writer.start()
        received = b""
        while piece := client.recv(1 << 16):
            received += piece
        writer.join()
    return received


@pytest.fixture
def talking(shared_env: CloudAndEdge) -> CloudAndEdge:
    shared_env.apply(manifest("talk", COUNTING))
    eventually(lambda: shared_env.out("logs", "talk"), "a log")
    return shared_env


def piped(env: CloudAndEdge, data: bytes, *command: str) -> bytes:
    """What a command in the pod makes of its input."""
    config = str(env.cloud.data_dir / "kubeconfig")
    line = ("kubectl", "--kubeconfig", config, "exec", "-i", "talk", "--", *command)
    return subprocess.run(line, input=data, capture_output=True, timeout=PATIENCE, check=True).stdout


def test_a_command_gives_its_output_its_errors_and_its_exit_code(talking: CloudAndEdge, over: str) -> None:
    assert talking.out("exec", "talk", "--", "echo", "false", "true", "0", "") == "false true 0"
    done = talking.kubectl("exec", "talk", "--", "sh", "-c", "echo said; echo wrong >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "said\n")
    assert done.stderr.startswith("wrong\n")


def test_input_and_output_go_through_whole_however_many_bytes(talking: CloudAndEdge, tmp_path: Path, over: str) -> None:
    data = os.urandom(3_000_000)
    assert piped(talking, data, "cat") == data
    (tmp_path / "there").mkdir()
    (tmp_path / "sent").write_bytes(data)
    for source, target in (
        (tmp_path / "sent", f"talk:{tmp_path}/there/x"),
        (f"talk:{tmp_path}/there/x", tmp_path / "got"),
    ):
        copied = talking.kubectl("cp", str(source), str(target))
        assert copied.returncode == 0, copied.stderr
    assert (tmp_path / "got").read_bytes() == data


def test_a_shell_has_a_terminal_of_the_size_of_ours(talking: CloudAndEdge, over: str) -> None:
    terminal = kubectl_terminal(talking, "exec", "-it", "talk", "--", "/bin/sh")
    terminal.type("tty >/dev/null && stty size && echo RE''ADY")
    terminal.await_said(b"READY")
    assert b"33 101" in terminal.said
    terminal.resize(122, 44)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.type("while [ \"$(stty size)\" != '44 122' ]; do sleep 0.1; done; echo SI''ZED; exit 5")
    terminal.await_said(b"SIZED")
    assert terminal.close() == 5


def test_who_attaches_reads_on_from_now(talking: CloudAndEdge, over: str) -> None:
    config = str(talking.cloud.data_dir / "kubeconfig")
    line = ("kubectl", "--kubeconfig", config, "attach", "talk")
    reader = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert reader.stdout is not None
        first, second = (int(reader.stdout.readline().split()[1]) for _ in range(2))
    finally:
        reader.kill()
        reader.communicate()
    assert second == first + 1 > 1


READING = "while read line; do echo heard $line; done; echo ended; sleep 1000"


@contextmanager
def attached_to(env: CloudAndEdge, *names: str) -> Iterator[subprocess.Popen[str]]:
    """A `kubectl attach -i` that is attached to a pod, or to a container of it (`-c NAME`)."""
    config = str(env.cloud.data_dir / "kubeconfig")
    line = ("kubectl", "--kubeconfig", config, "attach", "-i", *names)
    pipe = subprocess.PIPE
    process = subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, bufsize=1)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(client: subprocess.Popen[str], word: str) -> str:
    """What comes back for a line of input."""
    assert client.stdin is not None and client.stdout is not None
    client.stdin.write(f"{word}\n")
    return client.stdout.readline()


def test_input_reaches_what_runs_also_after_kill_9_of_the_edge(env: CloudAndEdge, over: str) -> None:
    for name, once in (("always", "false"), ("once", "true")):
        made = manifest(name, READING).replace("name: main,", f"name: main, stdin: true, stdinOnce: {once},")
        env.apply(made)
    eventually(lambda: env.out("get", "pods", "--field-selector=status.phase!=Running", "-o", "name") == "", "they run")
    with attached_to(env, "always") as client:
        assert heard(client, "one") == "heard one\n"
    env.edge.kill()
    env.edge.start()
    eventually(lambda: env.kubectl("exec", "always", "--", "true").returncode == 0, "the tunnel")
    with attached_to(env, "always") as client:
        assert heard(client, "two") == "heard two\n"
    with attached_to(env, "once") as client:
        assert heard(client, "one") == "heard one\n"
        assert client.stdin is not None and client.stdout is not None
        client.stdin.close()
        assert client.stdout.readline() == "ended\n"
        client.stdin = None
    assert env.out("logs", "always") == "heard one\nheard two"


def test_ports_are_forwarded_several_connections_at_once(talking: CloudAndEdge, over: str) -> None:
    data = os.urandom(2_000_000)
    with echoing() as one, echoing() as other, forwarding(talking, one, other) as (first, second):
        answers: list[bytes] = []
        threads = [
            threading.Thread(target=lambda port=port: answers.append(echoed(port, data)))
            for port in (first, second, first, second)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert answers == [data] * 4


def test_what_can_not_be_run_is_refused_in_one_sentence(talking: CloudAndEdge) -> None:
    missing = talking.kubectl("exec", "talk", "--", "/no/such/program")
    assert missing.returncode != 0 and "can not be run" in missing.stderr


def test_a_command_ends_when_its_client_leaves(talking: CloudAndEdge, tmp_path: Path) -> None:
    config = str(talking.cloud.data_dir / "kubeconfig")
    mark = tmp_path / "pid"
    line = ("kubectl", "--kubeconfig", config, "exec", "talk", "--", "sh", "-c", f"echo $$ > {mark}; exec sleep 1000")
    client = subprocess.Popen(line)
    try:
        pid = int(eventually(lambda: mark.exists() and mark.read_text().strip(), "it runs"))
    finally:
        client.kill()
        client.wait()
    eventually(lambda: not Path(f"/proc/{pid}").exists(), "it is gone")
