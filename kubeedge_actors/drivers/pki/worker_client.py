"""Client of the certificate process, which is started with an order and ends when there is none.

16 MB of memory and 0.15 s at the first order, 1-2 ms for each that follows within half a minute (a fleet that
joins). Used only when asked: `execute` of requests.py does the same in the caller's process.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

import msgspec

from kubeedge_actors.drivers.pki.worker_protocol import PkiRequest, WorkerResult
from kubeedge_actors.errors import CertificateError

log = logging.getLogger(__name__)
COMMAND = (sys.executable, "-m", "kubeedge_actors.drivers.pki.worker")


class PkiWorkerClient:
    """Call it with an order; any thread, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def __call__(self, order: PkiRequest) -> WorkerResult:
        """What the order gave; `CertificateError` when no such process can be had."""
        line = msgspec.json.encode(order) + b"\n"
        with self._lock:
            answer = self._round_trip(line) or self._round_trip(line)  # again: it may have gone just now, being idle
        if not answer:
            raise CertificateError("the certificate process ended without an answer")
        return msgspec.json.decode(answer, type=WorkerResult)

    def close(self) -> None:
        """End the process; the next order starts another."""
        with self._lock:
            self._end()

    def _round_trip(self, line: bytes) -> bytes:
        """The answer to one line; nothing when the process is gone."""
        child = self._child or self._start()
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(line)
            child.stdin.flush()
            answer = child.stdout.readline()
        except OSError as error:
            log.debug("the certificate process is gone: %s", error)
            answer = b""
        if not answer:
            self._end()
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            # a group of its own: Ctrl+C in a terminal is for us, and the end of its input tells it
            self._child = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
        except OSError as error:
            raise CertificateError(f"the certificate process can not be started: {error.strerror}") from error
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                _close(pipe)
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _close(pipe: object) -> None:
    try:
        pipe.close()  # type: ignore[attr-defined]
    except OSError as error:
        log.debug("the certificate process left with work in its pipe: %s", error)
