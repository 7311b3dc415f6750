"""A Docker engine for tests: the one at DOCKER_HOST or /var/run/docker.sock. Tests that run at the same time share it: each
has an owner of its own for its containers.
"""

from __future__ import annotations

import importlib
import io
import os
import shutil
import socket
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.fakes.relay import Relay
from tests.support.waiting import PATIENCE

IMAGE = "busybox-of-tests:1"
TOOLS = (
    "sh",
    "sleep",
    "cat",
    "echo",
    "env",
    "id",
    "true",
    "false",
    "wget",
    "httpd",
    "nc",
    "printf",
    "ls",
    "pwd",
    "hostname",
)


@dataclass(frozen=True)
class DockerEngine:
    """An engine that answers, an image with busybox, and an owner that no other test has."""

    address: str
    image: str
    owner: str


def _layer(busybox: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", dereference=True) as archive:
        for folder in ("bin", "tmp", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        archive.add(busybox, "bin/busybox")
        for tool in TOOLS:
            entry = tarfile.TarInfo(f"bin/{tool}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return out.getvalue()


def engine_address() -> str:
    """Where the engine listens, if there is one."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def unfit() -> str:
    """Why there is no engine for tests; empty when there is one. Puts the image there."""
    try:
        docker = importlib.import_module("docker")
    except ImportError:
        return "the docker library is not installed"
    if reason := _silent(engine_address()):
        return reason
    try:
        client: Any = docker.APIClient(base_url=engine_address(), version="auto", timeout=int(PATIENCE))
    except docker.errors.DockerException as error:
        return f"no engine answers at {engine_address()}: {error}"
    with closing(client):
        return _no_image(client) or _other_files(client)


def _silent(address: str) -> str:
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as door:
            try:
                door.connect(address.removeprefix("unix://"))
            except OSError as error:
                return f"no engine listens at {address}: {error.strerror}"
    return ""


def _no_image(client: Any) -> str:
    if not client.images(name=IMAGE):
        busybox = shutil.which("busybox")
        if busybox is None:
            return "there is no static busybox to make an image of (Debian: busybox-static)"
        name, _, tag = IMAGE.partition(":")
        client.import_image_from_data(_layer(busybox), repository=name, tag=tag)
    return ""


def _other_files(client: Any) -> str:
    """An engine of another machine, or outside of the chroot that this runs in, mounts other folders than ours."""
    with tempfile.TemporaryDirectory(prefix="seen-by-engine-") as folder:
        mark = Path(folder) / "mark"
        mark.write_text("", encoding="utf-8")
        binds = client.create_host_config(binds=[f"{folder}:/seen:ro"])
        container = client.create_container(IMAGE, ["/bin/ls", "/seen/mark"], host_config=binds)
        try:
            client.start(container)
            visible = client.wait(container)["StatusCode"] == 0
        finally:
            client.remove_container(container, force=True)
    return (
        ""
        if visible
        else f"the engine at {engine_address()} does not see the files of this machine, which the volumes of pods need"
    )


def _clean(address: str, owner_prefix: str) -> None:
    """Remove what a test left in the engine."""
    import docker

    client: Any = docker.APIClient(base_url=address, version="auto", timeout=int(PATIENCE))
    try:
        for row in client.containers(all=True):
            if row["Labels"].get("io.kubernetes.node.owner", "").startswith(owner_prefix):
                client.remove_container(row["Id"], force=True, v=True)
    finally:
        client.close()


@pytest.fixture
def docker_engine() -> Iterator[DockerEngine]:
    """A Docker engine with a small image, clean for this test."""
    owner = f"test-{uuid.uuid4().hex[:12]}"
    yield DockerEngine(engine_address(), IMAGE, owner)
    _clean(engine_address(), owner)


@pytest.fixture
def relay(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[Relay]:
    """What stands between an edge and that engine, at a socket of its own."""
    made = Relay(tmp_path / "engine.sock", Path(docker_engine.address.removeprefix("unix://")))
    yield made
    made.stop()
