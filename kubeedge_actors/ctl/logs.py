"""`logs`: the logs of containers, to standard output as they come."""

from __future__ import annotations

import argparse
import base64
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.ctl.pod_lookup import Json, chosen_container, containers, named, pod_name
from kubeedge_actors.errors import KubeEdgeActorsError, UsageError

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
Ended = Callable[[], bool]


def duration(text: str) -> float:
    """Seconds of a duration as Go writes it. UsageError.

    >>> duration("1h30m"), duration("90s")
    (5400.0, 90.0)
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"--since: {text!r} is no time of the form 90s, 5m, 1h30m")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def print_logs(options: argparse.Namespace, client: ControlClient, ended: Ended) -> None:
    """Print the logs that the options ask for until their end, or until `ended()`. Errors: KubeEdgeActorsError."""
    request = _request(options)
    name = pod_name(options.pod)
    (pod,) = named(client.ask("pods", namespace=options.namespace), [name], options.namespace)
    if options.all_containers:
        sources = containers(pod)
    else:
        container, remark = chosen_container(pod, options.container or options.container_name or "")
        sources = [container]
        if remark:
            print(remark, file=sys.stderr, flush=True)
    printers = [
        LogPrinter({**request, "pod": name, "container": each}, f"[pod/{name}/{each}] " if options.prefix else "")
        for each in sources
    ]
    if options.follow and len(printers) > 1:
        _print_side_by_side(printers, client, ended)
    else:
        for each in printers:
            each.print_until(client, ended)


def _request(options: argparse.Namespace) -> Json:
    if options.since and options.since_time:
        raise UsageError("--since and --since-time can not both be meant")
    request: dict[str, Any] = {"namespace": options.namespace, "follow": options.follow, "previous": options.previous}
    request["timestamps"] = options.timestamps
    if options.since:
        request["since"] = duration(options.since)
    if options.since_time:
        request["since_time"] = options.since_time
    if options.tail >= 0:
        request["tail"] = options.tail
    if options.limit_bytes > 0:
        request["limit"] = options.limit_bytes
    return request


def _print_side_by_side(printers: list[LogPrinter], client: ControlClient, ended: Ended) -> None:
    """All at once; the first error is told when all have ended."""
    errors: list[KubeEdgeActorsError] = []

    def work(printer: LogPrinter) -> None:
        try:
            printer.print_until(client, ended)
        except KubeEdgeActorsError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(each,), daemon=True) for each in printers]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if errors:
        raise errors[0]


class LogPrinter:
    """Prints one log: whole lines behind the `prefix` if there is one, bytes as they come otherwise."""

    _lock = threading.Lock()

    def __init__(self, request: Json, prefix: str) -> None:
        self._request, self._prefix, self._rest = request, prefix.encode(), b""

    def print_until(self, client: ControlClient, ended: Ended) -> None:
        """Print until the log ends, or `ended()`."""
        with client.stream("podlogs", **self._request) as answers:
            for answer in answers.answers_until(ended):
                if "end" in answer:
                    break
                self._print(base64.b64decode(answer["data"]))
        if self._rest:
            self._write(self._prefix + self._rest + b"\n")

    def _print(self, data: bytes) -> None:
        if not self._prefix:
            self._write(data)
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._write(b"".join(self._prefix + line + b"\n" for line in lines))

    def _write(self, data: bytes) -> None:
        with self._lock:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
