"""A headless Chromium, led by its DevTools protocol: a page, keys, what it has received and drawn."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import websocket

from tests.support.waiting import PATIENCE, eventually

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu-sandbox", "--enable-unsafe-swiftshader", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--window-size=800,600", "about:blank",
)  # fmt: skip
Json = dict[str, Any]


class Page:
    """One tab."""

    def __init__(self, url: str) -> None:
        self._connection = websocket.create_connection(url, timeout=PATIENCE, suppress_origin=True)
        self._numbers = itertools.count(1)
        self.received = b""
        """Of all websockets of the page."""
        self.complaints: list[str] = []
        """What stands in its console as an error."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> Json:
        """Its answer."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := self._next()).get("id") != number:
            pass
        assert "error" not in message, message
        found: Json = message["result"]
        return found

    def _next(self) -> Json:
        message: Json = json.loads(self._connection.recv())
        details = message.get("params", {})
        if message.get("method") == "Network.webSocketFrameReceived":
            frame = details["response"]
            self.received += base64.b64decode(frame["payloadData"]) if frame["opcode"] == 2 else b""
        elif message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(details["exceptionDetails"]))
        elif message.get("method") == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.complaints.append(details["entry"]["text"])
        return message

    def open(self, url: str) -> None:
        """Load a page."""
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """A value of the page's."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, text: str) -> None:
        """Until a websocket of the page has brought this."""
        while text.encode() not in self.received:
            self._next()

    def type(self, text: str) -> None:
        """Keys, into what has the focus."""
        for letter in text:
            for kind in ("keyDown", "keyUp"):
                self.call("Input.dispatchKeyEvent", type=kind, key=letter, text=letter if kind == "keyDown" else "")

    def picture(self) -> bytes:
        """What is drawn, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def close(self) -> None:
        """Lead it no longer."""
        self._connection.close(timeout=0)


@contextmanager
def chromium() -> Iterator[Page]:
    """With one empty tab, and nothing of others."""
    program = next(filter(None, map(shutil.which, NAMES)))
    with tempfile.TemporaryDirectory(
        prefix="chromium-", ignore_cleanup_errors=True
    ) as name:  # a socket in it has to have a short name
        folder = Path(name)
        environment = {**os.environ, "HOME": name, "TMPDIR": name}
        with (
            (folder / "log").open("wb") as log,
            _started((program, f"--user-data-dir={name}", *OPTIONS), log, environment),
        ):
            port = eventually(lambda: _port(folder), "Chromium says at which port it listens")
            target = eventually(lambda: _tab(port), "Chromium has a tab")
            page = Page(f"ws://127.0.0.1:{port}/devtools/page/{target}")
            try:
                yield page
            finally:
                page.close()


@contextmanager
def _started(line: Sequence[str], log: IO[bytes], environment: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen(line, stdout=log, stderr=log, start_new_session=True, env=environment)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _port(folder: Path) -> str:
    told = folder / "DevToolsActivePort"
    return told.read_text(encoding="ascii").partition("\n")[0] if told.exists() else ""


def _tab(port: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE) as answer:
        tabs = json.load(answer)
    return next((str(each["id"]) for each in tabs if each["type"] == "page"), "")
