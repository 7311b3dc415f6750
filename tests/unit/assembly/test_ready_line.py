"""The ready line: everything serves, or it is said by name what does not yet."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors import Module
from kubeedge_actors.assembly.edge import service_port_error
from kubeedge_actors.assembly.port_errors import ChosenPort, naming_port_options, port_error, port_error_text
from kubeedge_actors.assembly.ready_line import Deadline, broker_addresses, not_started_text
from kubeedge_actors.config import EdgeConfig
from kubeedge_actors.demo.environment import free_ports, read_first_line, terminate
from kubeedge_actors.drivers.broker.external import ExternalBroker
from kubeedge_actors.drivers.broker.fake import FakeBroker
from kubeedge_actors.drivers.link.base import CloseReason
from kubeedge_actors.drivers.link.fake import FakeLinkServer
from kubeedge_actors.drivers.link.link_monitor import LinkMonitor
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.entrypoint import Shutdown, print_ready, shut_down_with_root_supervisor
from kubeedge_actors.errors import BrokerError, DriverError

HUB = ChosenPort("--hub-port", 10000, "--host", "127.0.0.1")


def edge_line(folder: Path, *options: str) -> str:
    """The ready line of an edge that is ended again."""
    command = (sys.executable, "-m", "kubeedge_actors.edge", "--name", "e", "--runtime", "process")
    process = subprocess.Popen(
        (*command, "--data-dir", str(folder / "edge"), *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        return read_first_line(process.stdout, 60).strip()
    finally:
        terminate(process)


def test_an_external_broker_that_is_away_is_named(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    line = edge_line(tmp_path, "--mqtt", f"tcp://127.0.0.1:{port}")
    assert f"MQTT on 127.0.0.1:{port} (not reachable yet: Connection refused)" in line


def test_a_cloud_that_is_away_is_named(tmp_path: Path) -> None:
    mqtt, https = free_ports(2)
    token = "00" * 32 + ".a.b.c"
    line = edge_line(
        tmp_path, "--mqtt-port", str(mqtt), "--cloud", f"https://127.0.0.1:{https}", "--token", token, "--no-streams"
    )
    assert f"cloud https://127.0.0.1:{https} (not reachable yet: this node has not joined it)" in line
    assert f"MQTT on 127.0.0.1:{mqtt}, " in line


def test_brokers_share_the_time_that_is_waited_for_them() -> None:
    time = iter([0.0, 1.0, 5.0])
    deadline = Deadline(3.0, lambda: next(time))
    assert [deadline.remaining(), deadline.remaining()] == [2.0, 0.0]


def test_a_broker_that_serves_has_no_trouble() -> None:
    away, there = FakeBroker(), FakeBroker()
    there.start()
    assert (
        broker_addresses([there, away], Deadline(0.0))
        == "127.0.0.1:0 and 127.0.0.1:0 (not reachable yet: it does not serve)"
    )


def test_an_external_broker_without_an_answer_is_not_waited_for_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = ExternalBroker("127.0.0.1", silent.getsockname()[1])
        broker.start()
        assert broker.unready_reason(0.0) == "no answer yet"
        broker.close()


def test_a_link_has_trouble_until_it_is_open() -> None:
    server = FakeLinkServer()
    links = LinkMonitor(server.link)
    assert links.unready_reason() == "no answer yet"
    done = threading.Event()

    class Events:
        def on_open(self, headers: Any) -> None: ...
        def on_text(self, text: str) -> None: ...
        def on_written(self, marks: Any) -> None: ...
        def on_close(self, closed: CloseReason) -> None:
            done.set()

    links().open("ws://h/", {}, None, Events())
    assert done.wait(60) and links.unready_reason(60.0) == "connection refused"


def test_actors_that_do_not_run_are_named_with_their_error() -> None:
    tree = {
        "kind": "supervisor",
        "name": "edge",
        "children": [
            {"kind": "actor", "name": "a", "state": "running", "last_error": ""},
            {
                "kind": "supervisor",
                "name": "m",
                "children": [{"kind": "actor", "name": "b", "state": "starting", "last_error": ""}],
            },
            {"kind": "actor", "name": "c", "state": "waiting", "last_error": "ValueError: no"},
        ],
    }
    assert not_started_text(tree) == "; not started yet: b (starting), c (ValueError: no)"
    assert not_started_text({"kind": "supervisor", "name": "edge", "children": tree["children"][:1]}) == ""


class Unable(Module):
    """A module that can not start."""

    name = "unable"

    def on_start(self) -> None:
        raise ValueError("no serial port")


def test_a_module_of_ones_own_that_can_not_start_is_named(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    line = edge_line(tmp_path, "--mqtt-port", str(port), "--module", "tests.unit.assembly.test_ready_line:Unable")
    assert line.endswith("; not started yet: unable (ValueError: no serial port)")


def test_who_ends_already_is_not_ready(capsys: pytest.CaptureFixture[str]) -> None:
    shutdown = Shutdown()
    print_ready("edge e: so", shutdown)
    shutdown.request("no")
    print_ready("edge e: not", shutdown)
    assert capsys.readouterr().out == "ready edge e: so\n"


def test_a_tree_that_gave_up_before_anybody_listened_ends_the_program() -> None:
    class Listened:
        failure = "cloudhub failed"

        def subscribe(self, look: object) -> None: ...

        @property
        def events(self) -> Listened:
            return self

    shutdown = Shutdown()
    shut_down_with_root_supervisor(Listened(), shutdown)  # type: ignore[arg-type]
    assert shutdown.failure == "the supervision tree gave up: cloudhub failed"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            PermissionError(13, "Permission denied"),
            "--hub-port 10000: permission denied; a port below 1024 needs root, give another --hub-port",
        ),
        (
            OSError(99, "x"),
            "--host 127.0.0.1 can not be listened on (with --hub-port 10000): cannot assign requested address",
        ),
        (
            socket.gaierror(-2, "Name or service not known"),
            "--host 127.0.0.1 can not be listened on (with --hub-port 10000): name or service not known",
        ),
    ],
)
def test_an_address_that_can_not_be_listened_on_has_a_sentence(error: OSError, text: str) -> None:
    assert port_error_text(HUB, error) == text


def test_other_errors_of_who_listens_stay_as_they_are() -> None:
    for error in (DriverError("the TLS files can not be used"), BrokerError("no password file", 0)):
        with pytest.raises(type(error), match=str(error)), naming_port_options(HUB):
            raise error from FileNotFoundError(2, "x")


def test_local_programs_that_can_not_call_the_cloud_yet_are_said_only_when_there_may_be_some(tmp_path: Path) -> None:
    store = FakeStore()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = EdgeConfig(data_dir=tmp_path, service_port=port)
        assert service_port_error(config, store.target_urls) == ""
        store.target_urls.add("http://x")
        assert f"; local programs can not call the cloud yet: --service-port {port} is in use" in service_port_error(
            config, store.target_urls
        )
    assert port_error(ChosenPort("--service-port", port, "--service-host", "127.0.0.1")) == ""
