"""The library of Docker, and those that it stands on: imported in this file alone, with what every use of it needs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import docker
import docker.errors
import docker.types
import requests
import requests.exceptions
import urllib3
import urllib3.exceptions

from kubeedge_actors.drivers.containers.docker_api import root_cause
from kubeedge_actors.errors import ContainerError, RuntimeUnavailable

__all__ = ["BROKEN", "check_listening", "docker", "hang_up", "open_answer", "requests", "translated", "urllib3"]

BROKEN = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, docker.errors.DockerException, OSError)
"""What the library raises when no engine answers."""


@contextmanager
def translated() -> Iterator[None]:
    """Docker's and requests' errors as ours."""
    try:
        yield
    except docker.errors.APIError as error:
        raise ContainerError(str(error.explanation or error)) from error
    except BROKEN as error:
        raise RuntimeUnavailable(f"the Docker engine does not answer: {root_cause(error)}") from error


def check_listening(address: str) -> None:
    """Find out cheaply whether somebody listens at a local socket: the library leaks one for each try. Error: OSError."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(address.removeprefix("unix://"))


def open_answer(client: Any, path: str, method: str = "get", **more: Any) -> Any:
    """An answer of the engine that is read while it comes. The client's own readers know no time limit and leak
    sockets. Errors: ContainerError, and those of BROKEN.
    """
    url = f"{client.base_url}/v{client.api_version}{path}"
    answer = client.request(method, url, stream=True, **more)
    if answer.status_code >= 400:
        with answer:
            raise ContainerError(str(answer.json().get("message", answer.reason)))
    return answer


def hang_up(answer: Any) -> None:
    """End an answer for the thread that reads it."""
    with suppress(OSError, AttributeError):  # it has ended by itself
        docker.types.CancellableStream(iter(()), answer).close()
