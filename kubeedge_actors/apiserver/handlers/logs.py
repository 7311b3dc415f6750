"""`pods/log`: the API's side; the text comes from a source that somebody else plugs in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from kubeedge_actors.errors import DriverError, LinkError

from ..errors import ApiError, Json, bad_request, invalid_value
from ..errors import invalid as invalid_object
from ..http_messages import Request, Response, StreamingResponse

TEXT = "text/plain"


class PodLogRequest(msgspec.Struct, frozen=True):
    """Which log, and which part of it. Seconds, lines and bytes are None when not asked for."""

    namespace: str
    pod: str
    node: str
    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_seconds: int | None = None
    since_time: str = ""
    tail_lines: int | None = None
    limit_bytes: int | None = None


# Called in a thread of its own; gives the text piece by piece. While it follows it yields b"" at least once a second,
# so that it can be closed when the client has left. A DriverError before the first piece, be it empty, is the answer, an
# ApiError too; a later one ends the text.
LogSource = Callable[[PodLogRequest], Iterator[bytes]]


def log_response(request: Request, pod: Json, source: LogSource | None) -> Response | StreamingResponse:
    """The answer to GET of a pod's log. Raises 400, 422, 501."""
    query = parse_log_request(request, pod)
    if not query.node:
        return Response(b"", 204)
    if source is None:
        raise ApiError(501, "NotImplemented", "the server has no source of container logs")
    pieces = source(query)
    return StreamingResponse(lambda: iterate_in_thread(pieces), TEXT, patient=True)


def parse_log_request(request: Request, pod: Json) -> PodLogRequest:
    """What the query parameters ask for. Raises 400 and 422."""
    meta, spec = pod["metadata"], pod.get("spec", {})
    return PodLogRequest(
        meta["namespace"],
        meta["name"],
        spec.get("nodeName", ""),
        log_container(request, meta["name"], spec),
        request.flag("follow"),
        request.flag("previous"),
        request.flag("timestamps"),
        int_param(request, "sinceSeconds", 1),
        request.query.get("sinceTime", ""),
        int_param(request, "tailLines", 0),
        int_param(request, "limitBytes", 1),
    )


def log_container(request: Request, pod: str, spec: Json) -> str:
    """The container that is meant; it need not be named when there is one only. Raises 400."""
    names = [
        c["name"] for field in ("containers", "initContainers", "ephemeralContainers") for c in spec.get(field, ())
    ]
    name = request.query.get("container", "")
    if name:
        if name not in names:
            raise bad_request(f"container {name} is not valid for pod {pod}")
        return name
    if len(spec.get("containers", ())) == 1:
        return str(spec["containers"][0]["name"])
    choices = " ".join(container["name"] for container in spec.get("containers", ()))
    raise bad_request(f"a container name must be specified for pod {pod}, choose one of: [{choices}]")


def int_param(request: Request, name: str, least: int) -> int | None:
    """A whole number from the query. Raises 400 and 422."""
    text = request.query.get(name, "")
    if not text:
        return None
    try:
        value = int(text)
    except ValueError as error:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error
    if value < least:
        complaint = invalid_value(name, value, f"must be greater than or equal to {least}")
        raise invalid_object("", "PodLogOptions", "", [complaint])
    return value


class ClosableIterator:
    """A blocking iterator that one thread steps and another may close."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._lock = pieces, threading.Lock()

    def step(self) -> bytes | None:
        """The next piece; None at the end."""
        with self._lock:
            return next(self._pieces, None)

    def close(self) -> None:
        """Ends the iterator, after the step that is under way."""
        with self._lock:
            close = getattr(self._pieces, "close", None)
            if close is not None:
                close()


async def iterate_in_thread(source: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a blocking iterator; an error of the source ends the text with its sentence."""
    pieces, loop = ClosableIterator(source), asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, "log")  # its own: many may be followed, and each waits most of the time
    begun = False
    try:
        while (piece := await loop.run_in_executor(thread, pieces.step)) is not None:
            if piece or not begun:
                begun = True
                yield piece
    except DriverError as error:
        if not begun:
            raise unavailable_error(error) from error
        yield f"{error}\n".encode()
    finally:
        thread.submit(pieces.close)
        thread.shutdown(wait=False)


def unavailable_error(error: DriverError) -> ApiError:
    """What a client is told when a node can not give what it asked for: it is away, or the container is not there."""
    if isinstance(error, LinkError):
        return ApiError(503, "ServiceUnavailable", str(error))
    return bad_request(str(error))
