"""A person's mistake gets one plain sentence, a non-zero status and no traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kubeedge_actors.install_hint import install_hint
from tests.support.certificates import TestCa
from tests.support.cloud_and_edge import ProcessUnderTest
from tests.support.fork_server import run
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE


def last_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert not done.stdout.startswith("ready")
    return done.stderr.strip().splitlines()[-1]


def edge(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    port = str(free_ports(1)[0])
    return run("kubeedge_actors.edge", "--name", "e", "--data-dir", str(folder / "edge"), "--mqtt-port", port, *options)


@pytest.fixture
def cloud(tmp_path: Path) -> ProcessUnderTest:
    api, hub, https = map(str, free_ports(3))
    side = ProcessUnderTest(
        "kubeedge_actors.cloud", tmp_path / "cloud", "--api-port", api, "--hub-port", hub, "--https-port", https
    )
    side.https = https  # type: ignore[attr-defined]
    side.hub = hub  # type: ignore[attr-defined]
    return side


def test_a_wrong_token_ends_the_edge(cloud: ProcessUnderTest, tmp_path: Path) -> None:
    cloud.start()
    try:
        genuine = (cloud.data_dir / "token").read_text(encoding="utf-8").strip()
        for token in ("nonsense", "00" * 32 + genuine[64:], genuine[:-4] + "AAAA"):
            done = edge(tmp_path, "--cloud", f"https://127.0.0.1:{cloud.https}", "--token", token)  # type: ignore[attr-defined]
            assert "token" in last_sentence(done)
    finally:
        cloud.stop()


@pytest.mark.parametrize("which", ["--api-port", "--hub-port", "--https-port", "--tunnel-port", "--metrics-port"])
def test_a_taken_port_of_the_cloud_names_its_option(which: str, tmp_path: Path) -> None:
    names = ("--api-port", "--hub-port", "--https-port", "--tunnel-port", "--metrics-port")
    ports = dict(zip(names, map(str, free_ports(5)), strict=True))
    with socket.create_server(("127.0.0.1", int(ports[which]))):
        options = [text for pair in ports.items() for text in pair]
        done = run("kubeedge_actors.cloud", "--data-dir", str(tmp_path / "cloud"), *options)
    assert last_sentence(done).startswith(f"cloud: {which} {ports[which]} is in use")
    assert done.returncode == 1


@pytest.mark.parametrize("which", ["--mqtt-port", "--mqtt-tls-port", "--metrics-port", "--metaserver"])
def test_a_taken_port_of_the_edge_names_its_option(which: str, tmp_path: Path) -> None:
    pair = TestCa(tmp_path).server("127.0.0.1")
    secure = ("--mqtt-tls-port", str(free_ports(1)[0]), "--mqtt-tls-cert", pair.cert, "--mqtt-tls-key", pair.key)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        value = f"127.0.0.1:{port}" if which == "--metaserver" else port
        done = edge(tmp_path, *secure, which, value)
    assert last_sentence(done).startswith(f"edge: {which} {port} is in use")
    assert done.returncode == 1


def test_an_address_that_is_not_of_this_machine_names_its_option(tmp_path: Path) -> None:
    api, hub, https = map(str, free_ports(3))
    ports = ("--api-port", api, "--hub-port", hub, "--https-port", https, "--tunnel-port", "0")
    done = run("kubeedge_actors.cloud", "--data-dir", str(tmp_path / "cloud"), "--host", "192.0.2.1", *ports)
    assert last_sentence(done).startswith("cloud: --host 192.0.2.1 can not be listened on")


@pytest.mark.parametrize("before", ["nothing", "a certificate of the CA, and no more"])
def test_an_edge_that_can_not_join_says_so_instead_of_being_ready(before: str, tmp_path: Path) -> None:
    if before != "nothing":  # as an attempt to join leaves it that was refused
        (tmp_path / "edge" / "certs").mkdir(parents=True)
        (tmp_path / "edge" / "certs" / "ca.crt").touch()
    done = edge(tmp_path, "--cloud", f"https://127.0.0.1:{free_ports(1)[0]}")
    assert "no token was given to join with: --token-file FILE" in last_sentence(done)


def test_a_damaged_database_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    database = tmp_path / "edge" / "edge.db"
    database.parent.mkdir()
    database.write_bytes(b"this is not a database" * 500)
    assert "edge.db" in last_sentence(edge(tmp_path))
    assert database.read_bytes() == b"this is not a database" * 500


def test_a_data_directory_in_use_is_named(cloud: ProcessUnderTest) -> None:
    cloud.start()
    try:
        done = run("kubeedge_actors.cloud", "--data-dir", str(cloud.data_dir))
        assert str(cloud.data_dir) in last_sentence(done)
    finally:
        assert cloud.stop() == 0


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--token-file", "/nowhere/token", "--cloud", "https://127.0.0.1:1"), "/nowhere/token"),
        (("--module", "no_such_file:Module"), "no_such_file"),
        (("--config", "/nowhere/edgecore.yaml"), "/nowhere/edgecore.yaml"),
        (("--runtime", "docker", "--docker-host", "unix:///nowhere.sock"), "/nowhere.sock"),
        (("--cloud", "127.0.0.1"), "127.0.0.1"),
        (("--mqtt", "nonsense"), "nonsense"),
        (("--metaserver", "nowhere"), "'nowhere' is no address of the form HOST:PORT"),
    ],
)
def test_a_bad_option_is_named(options: tuple[str, ...], word: str, tmp_path: Path) -> None:
    assert word in last_sentence(edge(tmp_path, *options))


def test_help_teaches() -> None:
    for module in ("kubeedge_actors", "kubeedge_actors.cloud", "kubeedge_actors.edge", "kubeedge_actors.demo"):
        done = run(module, "--help")
        assert done.returncode == 0
        assert "usage:" in done.stdout
        assert len(done.stdout.splitlines()) > 8


@pytest.mark.parametrize("command", ["kubeedge_actors.cloud", "kubeedge_actors"])
def test_a_cloud_that_was_installed_without_its_extra_says_how_to_get_it(command: str) -> None:
    words = ["x", "cloud"] if command == "kubeedge_actors" else ["x"]
    script = (
        f"import runpy, sys; sys.modules['uvicorn'] = None; sys.argv = {words}; "
        f"runpy.run_module('{command}', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert last_sentence(done).startswith("cloud: it needs the library uvicorn")
    assert last_sentence(done).endswith(install_hint("cloud"))


@pytest.mark.parametrize("side", ["kubeedge_actors.edge", "kubeedge_actors.cloud"])
def test_a_module_that_is_configured_wrongly_names_file_and_key(side: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("alarm: {config: {limit: hot}}\n", encoding="utf-8")
    module = ("--module", "tests.support.fakes.configured_module:Alarm")
    options = ("--data-dir", str(tmp_path / "side"), *module, "--module-config", str(tmp_path / "m.yaml"))
    sentence = f"alarm.config.limit in {tmp_path}/m.yaml: expected `float`, got `str`"
    assert sentence in last_sentence(run(side, *options))
