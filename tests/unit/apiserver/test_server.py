"""The server as a whole: starting, stopping, refusing to start, the command line."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from kubeedge_actors.apiserver import ApiServer, TlsFiles, kubeconfig
from kubeedge_actors.apiserver.__main__ import main
from kubeedge_actors.errors import DriverError, StoreCorrupt
from tests.support.api_client import ApiClient, config_map
from tests.support.processes import child
from tests.support.waiting import PATIENCE

MAPS = "/api/v1/namespaces/default/configmaps"


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    versions: list[str] = []
    for _ in range(2):
        server = ApiServer(database=tmp_path / "a.db", host="127.0.0.1", port=0, tls=None)
        server.start()
        api = ApiClient(server.url)
        if not versions:
            api.post(MAPS, config_map("c"))
        versions.append(api.get(f"{MAPS}/c")["metadata"]["resourceVersion"])
        api.close()
        server.stop()
    assert versions[0] == versions[1]


def test_a_version_from_before_a_restart_is_too_old_for_a_watch(tmp_path: Path) -> None:
    for first in (True, False):
        server = ApiServer(database=tmp_path / "a.db", host="127.0.0.1", port=0, tls=None)
        server.start()
        api = ApiClient(server.url)
        if first:
            api.post(MAPS, config_map("c"))
            api.post(MAPS, config_map("d"))
        else:
            with api.watch(f"{MAPS}?watch=true&resourceVersion=2") as events:
                assert next(events)["object"]["code"] == 410
            current = api.get(MAPS)["metadata"]["resourceVersion"]
            with api.watch(f"{MAPS}?watch=true&resourceVersion={current}") as events:
                api.delete(f"{MAPS}/c")
                assert next(events)["type"] == "DELETED"
        api.close()
        server.stop()


def test_a_taken_port_is_told_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = ApiServer(database=tmp_path / "a.db", host="127.0.0.1", port=port, tls=None)
        with pytest.raises(DriverError, match=f"cannot listen on 127.0.0.1:{port}"):
            server.start()
    again = ApiServer(database=tmp_path / "a.db", host="127.0.0.1", port=0, tls=None)
    again.start()
    again.stop()


def test_plain_http_is_for_this_machine_only(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.com"):
        with pytest.raises(DriverError, match="loopback only"):
            ApiServer(database=tmp_path / "a.db", host=host, port=0, tls=None).start()


def test_plain_http_is_not_for_web_pages() -> None:
    server = ApiServer(database=":memory:", port=0, tls=None)
    server.start()
    api = ApiClient(server.url)
    assert api.call("GET", MAPS, headers={"Origin": "https://evil.example"}).status == 403
    assert api.call("POST", MAPS, config_map("c"), {"Origin": "https://evil.example"}).status == 403
    assert api.call("GET", MAPS, headers={"Host": "rebound.example:80"}).status == 403
    assert api.call("GET", MAPS, headers={"Host": "[no"}).status == 403
    assert api.call("GET", MAPS, headers={"Origin": server.url, "Host": "localhost:1"}).status == 200
    api.close()
    server.stop()


def test_unreadable_certificates_are_told(tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"
    server = ApiServer(database=tmp_path / "a.db", port=0, tls=TlsFiles(missing, missing, missing))
    with pytest.raises(DriverError, match="TLS files"):
        server.start()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("hello, this is a text file and no database at all\n" * 50)
    with pytest.raises(StoreCorrupt, match="is not a database or is damaged"):
        ApiServer(database=tmp_path / "a.db", port=0, tls=None).start()


def test_a_database_whose_objects_are_no_objects_is_told(tmp_path: Path) -> None:
    server = ApiServer(database=tmp_path / "a.db", port=0, tls=None)
    server.start()
    server.stop()
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("UPDATE objects SET body = '[' WHERE name = 'default'")
    with pytest.raises(StoreCorrupt, match="cannot be read"):
        ApiServer(database=tmp_path / "a.db", port=0, tls=None).start()


def test_stopping_ends_watches_and_is_harmless_twice(tmp_path: Path) -> None:
    server = ApiServer(database=":memory:", port=0, tls=None)
    server.start()
    api = ApiClient(server.url)
    ended = threading.Event()
    begun = threading.Event()

    def watch() -> None:
        with api.watch(f"{MAPS}?watch=true&allowWatchBookmarks=true") as events:
            for _ in events:
                begun.set()
        ended.set()

    thread = threading.Thread(target=watch)
    thread.start()
    assert begun.wait(PATIENCE)
    server.stop()
    assert ended.wait(PATIENCE)
    thread.join()
    api.close()
    server.stop()
    ApiServer(database=":memory:", port=0, tls=None).stop()


def test_work_in_the_servers_thread_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    server = ApiServer(database=tmp_path / "a.db", port=0, tls=None)
    with pytest.raises(DriverError):
        server.transact(lambda store: store.revision)
    server.start()
    body = {"kind": "ConfigMap", "apiVersion": "v1", **config_map("c")}
    body["metadata"] |= {"namespace": "default", "uid": "u"}
    event = server.transact(lambda store: store.put("configmaps", body))
    assert server.transact(lambda store: store.is_committed() and store.committed) == event.revision
    server.stop()


def test_two_servers_live_in_one_process() -> None:
    servers = [ApiServer(database=":memory:", port=0, tls=None) for _ in range(2)]
    for server in servers:
        server.start()
    clients = [ApiClient(server.url) for server in servers]
    clients[0].post(MAPS, config_map("only-here"))
    assert clients[1].get(MAPS)["items"] == []
    for client in clients:
        client.close()
    for server in servers:
        server.stop()


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kubeedge_actors.apiserver", "--data-dir", str(tmp_path), "--port", "0"]
    with child(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        with closing(ApiClient(url)) as api:
            assert api.call("GET", "/healthz").body == b"ok"
        config = tmp_path / "kubeconfig"
        assert config.read_text() == kubeconfig(url)
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        os.kill(process.pid, signal.SIGTERM)
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output, errors) == (0, "", "")


def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data-dir", str(tmp_path), "--host", "0.0.0.0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_kubeconfig_carries_certificates() -> None:
    text = kubeconfig("https://h:1", b"ca", b"cert", b"key")
    assert '"certificate-authority-data": "Y2E="' in text and '"client-key-data": "a2V5"' in text
