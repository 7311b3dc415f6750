"""The dashboard in a browser: who gets it, that it is the same, that nothing of it is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("textual_serve", reason="the dashboard in a browser is an extra")
pytest.importorskip("aiohttp", reason="the dashboard in a browser is an extra")

import websocket

from kubeedge_actors.dashboard.browser.access import serve_address
from kubeedge_actors.dashboard.browser.server import take_frame
from kubeedge_actors.errors import UsageError
from tests.support.chromium import chromium
from tests.support.processes import children, wait_until_ended
from tests.support.waiting import PATIENCE, eventually
from tests.unit.dashboard.screens import NAME, DashboardEnv

NORMAL = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip


class Served:
    """`dashboard --serve 0`, as a person starts it."""

    def __init__(self, env: DashboardEnv, folder: Path) -> None:
        self.errors = folder / "errors"
        command = (sys.executable, "-m", "kubeedge_actors.dashboard", "--socket", str(env.path), "--serve", "0")
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert self.process.stdout is not None
        word, _, url = self.process.stdout.readline().strip().partition(" ")
        assert word == "ready", self.errors.read_text()
        self.url = url
        split = urlsplit(url)
        self.host, self.port, self.token = split.netloc, split.port or 0, split.path.strip("/")

    def status(self, path: str, **headers: str) -> int:
        """Of a GET; `{token}` in the path is the right one."""
        told = {"Host": self.host, **headers}
        lines = [f"GET {path.format(token=self.token)} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            return int(connection.makefile("rb").readline().split()[1])

    def screen(self) -> websocket.WebSocket:
        """As the page opens one."""
        url = f"ws://{self.host}/{self.token}/ws?width=100&height=30"
        return websocket.create_connection(url, timeout=PATIENCE, origin=f"http://{self.host}")

    def children(self) -> list[int]:
        """The processes that it has started."""
        return children(self.process.pid)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    env = DashboardEnv(tmp_path)
    opened = Served(env, tmp_path)
    try:
        yield opened
    finally:
        left = opened.children() if opened.process.poll() is None else []
        opened.close()
        wait_until_ended(left)
        env.close()


def seen(screen: websocket.WebSocket, text: str) -> None:
    """Wait until the screen has brought this."""
    shown = b""
    while text.encode() not in shown:
        data = screen.recv()
        shown += data if isinstance(data, bytes) else data.encode()


def test_who_gets_it(served: Served) -> None:
    own = f"http://{served.host}"
    socket_headers = {**NORMAL, "Origin": own}
    static = "/{token}/static/js/textual.js"
    statuses = {
        served.status("/"): 403,
        served.status("/ws", **socket_headers): 403,
        served.status("/static/js/textual.js"): 403,
        served.status("/{token}x/"): 403,
    }
    assert set(statuses) == {403}
    assert served.status("/{token}/") == served.status(static) == served.status("/{token}/", Origin=own) == 200
    assert served.status("/{token}/", Host="rebound.example") == 403
    assert served.status(static, Origin="http://127.0.0.1:1") == 403
    assert served.status("/{token}/", Host=f"localhost:{served.port}") == 200  # through ssh -L, say
    assert served.status("/{token}/ws", **NORMAL) == 403  # no browser
    assert served.status("/{token}/ws", **NORMAL, Origin="http://127.0.0.1:1") == 403  # another page of this machine
    assert served.status("/{token}/ws", **NORMAL, Origin="null") == 403
    assert served.status("/{token}/static/../../setup.cfg") in (403, 404)
    assert served.status("/{token}/static/templates/app_index.html") == 404
    assert served.children() == []
    assert served.status("/{token}/ws", **socket_headers) == 101


@pytest.mark.parametrize("text", ["0.0.0.0:8000", "[::]:8000", "10.0.0.1:8000", "node-1:8000"])
def test_another_address_than_loopback_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"only addresses of this machine's loopback .* ssh -L 8000:127\.0\.0\.1:8000"):
        serve_address(text)


@pytest.mark.parametrize("text", ["", "x", "65536", "-1", "127.0.0.1", "127.0.0.1:"])
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(UsageError, match="that is no port"):
        serve_address(text)


def test_screens_end_with_their_tabs_and_all_with_the_server(served: Served) -> None:
    first, second = served.screen(), served.screen()
    seen(first, NAME[:6])
    seen(second, NAME[:6])
    first.send('["resize", {"width": 60, "height": 20}]')
    first.send('["stdin", "?"]')
    seen(first, "keys of :actors")
    assert len(served.children()) == 2
    first.close()
    eventually(lambda: len(served.children()) == 1, "the process of the closed tab has ended")
    second.send("no frame")
    eventually(lambda: served.children() == [], "whoever sends something else has no screen any more")
    third = served.screen()
    seen(third, NAME[:6])
    left = served.children()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(PATIENCE) == 0
    wait_until_ended(left)
    assert served.token not in served.errors.read_text()
    third.close()
    second.close()


def test_no_screen_outlives_a_killed_server(served: Served) -> None:
    screen = served.screen()
    seen(screen, NAME[:6])
    os.kill(served.children()[0], signal.SIGSTOP)  # not even one that can not end
    other = served.screen()
    seen(other, NAME[:6])
    left = served.children()
    screen.close()
    eventually(lambda: len(served.children()) == 1, "a stopped one is ended with its tab")
    served.process.kill()
    wait_until_ended(left)
    other.close()


@pytest.mark.parametrize(
    "text", ["{}", "[]", '["stdin"]', '["stdin", 1]', '["resize", {"width": "1"}]', "[" * 300, "x"]
)
def test_what_is_no_frame(text: str) -> None:
    assert take_frame(text, None) == []  # type: ignore[arg-type]  # no terminal is touched


@pytest.mark.chromium
def test_the_screen_in_a_browser(served: Served) -> None:
    with chromium() as page:
        page.open(served.url)
        page.wait_for(NAME[:6])
        page.wait_for("q quit")
        before = eventually(lambda: _drawn(page.picture()), "the screen is drawn")
        page.type("?")
        page.wait_for("keys of :actors")
        eventually(lambda: _drawn(page.picture()) not in (before, b""), "the page of the keys is drawn")
        page.type("qq")
        eventually(lambda: served.children() == [], "q ends it")
        eventually(lambda: "-closed" in page.evaluate("document.body.className"), "the page says so")
        assert page.complaints == []


def _drawn(picture: bytes) -> bytes:
    """The picture when there is something on it: one colour alone is packed to some kB less."""
    return picture if len(picture) > 8_000 else b""
