"""kill -9 in the middle of writes: whatever was acknowledged is there afterwards."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from kubeedge_actors.apiserver import ApiServer
from tests.support.api_client import ApiClient, config_map
from tests.support.processes import child
from tests.support.waiting import PATIENCE

MAPS = "/api/v1/namespaces/default/configmaps"
WRITERS, ROUNDS = 4, 3


class Writer(threading.Thread):
    """Creates, changes and deletes until the server dies; keeps what was acknowledged."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__()
        self._url, self._name = url, name
        self.known: dict[str, str | None] = {}
        self.unsure = ""
        self.acknowledged = threading.Event()

    def run(self) -> None:
        """Writes."""
        address = urlsplit(self._url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE)
        number = 0
        try:
            while True:
                name = self.unsure = f"{self._name}-{number}"
                body = msgspec.json.encode(config_map(name, value=str(number)))
                self._send(connection, "POST", MAPS, body)
                self.known[name] = str(number)
                if number % 3 == 2:
                    self.unsure = f"{self._name}-{number - 1}"
                    self._send(connection, "DELETE", f"{MAPS}/{self.unsure}", b"")
                    self.known[self.unsure] = None
                number += 1
                if number > 20:
                    self.acknowledged.set()
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes) -> None:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        assert response.status < 300, content


def killed_while_writing(folder: Path, round_number: int) -> list[Writer]:
    """Kills a server that four clients write to; what they know."""
    command = [sys.executable, "-m", "kubeedge_actors.apiserver", "--data-dir", str(folder), "--port", "0"]
    with child(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        writers = [Writer(url, f"w{round_number}x{index}") for index in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            assert writer.acknowledged.wait(PATIENCE)
        os.kill(process.pid, signal.SIGKILL)
    for writer in writers:
        writer.join(PATIENCE)
    return writers


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_an_acknowledged_write_survives_kill_9(tmp_path: Path, round_number: int) -> None:
    writers = killed_while_writing(tmp_path, round_number)
    server = ApiServer(database=tmp_path / "apiserver.db", host="127.0.0.1", port=0, tls=None)
    server.start()
    api = ApiClient(server.url)
    listed = api.get(MAPS)
    api.close()
    server.stop()
    values = {item["metadata"]["name"]: item["data"]["value"] for item in listed["items"]}
    for writer in writers:
        for name, value in writer.known.items():
            if name != writer.unsure:
                assert values.get(name) == value, f"{name} was acknowledged"
        assert len(writer.known) > 20
    newest = max(int(item["metadata"]["resourceVersion"]) for item in listed["items"])
    assert int(listed["metadata"]["resourceVersion"]) >= newest
