"""A registry of images for tests, on loopback by plain HTTP, which Docker allows there: so much of the distribution API as `docker pull` needs.

Source: the Open Container Initiative's distribution specification (GET and HEAD of /v2/, manifests and blobs).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import PATIENCE

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"
REPOSITORY, TAG = "nodetasks/app", "1"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _layer(text: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("mark")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


class Registry:
    """Serves one image, which no other test has. `user`: who may pull it, NAME:PASSWORD; empty: everybody. `refusals`: how many requests for
    the manifest are answered 500 first. `manifests`: how many were asked for; `open` while they are answered.
    """

    def __init__(self, user: str = "", refusals: int = 0) -> None:
        layer = _layer(uuid.uuid4().hex)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        ).encode()
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": CONFIG, "size": len(config), "digest": _digest(config)},
                "layers": [{"mediaType": LAYER, "size": len(layer), "digest": _digest(layer)}],
            }
        ).encode()
        self.blobs = {_digest(blob): blob for blob in (layer, config)}
        self.authorization = f"Basic {base64.b64encode(user.encode()).decode()}" if user else ""
        self.refusals, self.manifests = refusals, 0
        self.open = threading.Event()
        self.open.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def host(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def image(self) -> str:
        """The name of the image, as Docker takes it."""
        return f"{self.host}/{REPOSITORY}:{TAG}"

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, media type and body for a path."""
        if path == "/v2/":
            return 200, "application/json", b"{}"
        if path.startswith(f"/v2/{REPOSITORY}/manifests/"):
            self.manifests += 1
            self.open.wait(PATIENCE)
            if self.refusals > 0:
                self.refusals -= 1
                return 500, "application/json", b'{"errors":[{"code":"UNKNOWN","message":"not now"}]}'
            if path.rpartition("/")[2] in (TAG, _digest(self.manifest)):
                return 200, MANIFEST, self.manifest
        blob = self.blobs.get(path.rpartition("/")[2])
        return (404, "application/json", b'{"errors":[]}') if blob is None else (200, "application/octet-stream", blob)

    def close(self) -> None:
        """Serve no more."""
        self.open.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply(body_wanted=True)

        def do_HEAD(self) -> None:
            self._reply(body_wanted=False)

        def _reply(self, *, body_wanted: bool) -> None:
            status, kind, body = registry.answer(self.path)
            refused = registry.authorization not in ("", self.headers.get("Authorization", ""))
            if refused:
                status, kind, body = 401, "application/json", b'{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}'
            self.send_response(status)
            if refused:
                self.send_header("WWW-Authenticate", 'Basic realm="tests"')
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            self.send_header("Docker-Content-Digest", _digest(body))
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if body_wanted:
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            return

    return Handler


@contextmanager
def serving(user: str = "", refusals: int = 0) -> Iterator[Registry]:
    """The registry, up."""
    registry = Registry(user, refusals)
    try:
        yield registry
    finally:
        registry.close()
