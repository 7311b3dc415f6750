"""The program that starts the processes of actors, so that Thespian stays out of the process of the actor system.

A runtime starts one when it first needs it; on another host a person does, with `--name` (docs/how-to/
isolate-a-module.md). All processes that come from it hang on one lifeline, a pipe: when that ends, they end.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kubeedge_actors.supervisors.engines.process.fork import exit_when_closed, fork_actor

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.engines.process.thespian_hosts import ThespianSystem

PORT = 1900
LEAVING = 1.0
"""Seconds that Thespian has to take leave of its convention; by itself it takes five or ten."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve an actor system over standard input and output or, with `--name`, be another host of its convention."""
    options = _parser().parse_args(arguments)
    if not options.name:
        return serve_runtime()
    try:
        return serve_convention(options)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"forkserver: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Offer this host to a runtime elsewhere, for actors that run here.")
    add = parser.add_argument
    add("--name", default="", help="by which this host is known: the `host` of a child spec")
    add("--listen", default="", metavar="ADDRESS[:PORT]", help="this host's own address, for the other one to reach")
    add("--convention", default="", metavar="ADDRESS[:PORT]", help="where the runtime's fork server listens")
    add("--key-file", default="", metavar="FILE", help="what both sides know: any secret of 16 bytes or more")
    return parser


def serve_convention(options: argparse.Namespace) -> int:
    """Offer this host until SIGTERM or SIGINT."""
    from kubeedge_actors.supervisors.engines.process.thespian_hosts import ThespianSystem

    key = Path(options.key_file).read_bytes().strip()
    if len(key) < 16:
        raise ValueError(f"{options.key_file} has to hold a secret of at least 16 bytes")
    lifeline, held = os.pipe()
    exit_when_closed((lifeline,), close_in_child=(held,))
    address, port = split_address(options.listen)
    leader = ":".join(map(str, split_address(options.convention)))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    system = ThespianSystem(address, port, key, leader, options.name)
    print(f"ready: host {options.name} of the convention of {leader}", flush=True)
    ended.wait()
    leaving = threading.Thread(target=system.shut_down, daemon=True)
    leaving.start()
    leaving.join(LEAVING)
    os.close(held)  # and with it ends what is left here
    return 0


def serve_runtime() -> int:
    """Carry out the orders of the actor system that started this: a line of JSON each, the first one says how to begin."""
    orders, answers = _keep_standard_streams()
    begin = json.loads(orders.readline())
    os.environ.pop("PYTHONPATH", None)
    if begin.get("path") is not None:
        os.environ["PYTHONPATH"] = begin["path"]
    exit_when_closed(begin["lifeline"], close_in_child=(orders.fileno(), answers.fileno()))
    convention = ThespianConventionLeader(begin["address"], begin["port"], bytes.fromhex(begin["key"]))
    try:
        if begin["port"]:  # hosts elsewhere know where to find it, so they may look for it already
            convention.system()
    except (ImportError, OSError, RuntimeError) as error:
        _say(answers, error=str(error))
        return 1
    gc.collect()
    gc.freeze()  # what is here by now stays in pages that all processes share
    _say(answers, ready="yes")
    for line in orders:
        order: dict[str, Any] = json.loads(line)
        try:
            execute_order(order, convention)
        except Exception as error:  # noqa: BLE001 - whatever Thespian raises, who waits for the process is told
            _say(answers, session_id=order["call"]["session_id"], error=f"{type(error).__name__}: {error}")
    return 0  # the actor system lets go of the lifeline: nobody waits for Thespian to take leave


def execute_order(order: dict[str, Any], convention: ThespianConventionLeader) -> None:
    """Start a process here or elsewhere, or forget a host that did not answer."""
    if order["call"] is None:
        convention.system().forget(order["host"])
    elif order["host"]:
        convention.system().start_process(order["host"], order["call"])
    else:
        fork_actor(order["call"])


class ThespianConventionLeader:
    """This machine's part of the convention: Thespian, imported and opened when a host elsewhere is first needed."""

    def __init__(self, address: str, port: int, key: bytes) -> None:
        self._address, self._port, self._key = address, port, key
        self._system: ThespianSystem | None = None

    def system(self) -> ThespianSystem:
        """The system; ImportError, OSError or RuntimeError when there can be none."""
        if self._system is None:
            from kubeedge_actors.supervisors.engines.process.thespian_hosts import ThespianSystem

            self._system = ThespianSystem(self._address, self._port or free_port(self._address), self._key)
        return self._system


def _say(answers: IO[str], **answer: str) -> None:
    print(json.dumps(answer), file=answers, flush=True)


def _keep_standard_streams() -> tuple[IO[str], IO[str]]:
    """Our own descriptors for orders and answers: what modules read and print must not end up among them."""
    orders, answers = os.fdopen(os.dup(0), "r", encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return orders, answers


def free_port(address: str) -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def split_address(text: str) -> tuple[str, int]:
    """Address and port of `ADDRESS[:PORT]`; ValueError for anything else.

    >>> split_address("10.0.0.5"), split_address("10.0.0.5:2000")
    (('10.0.0.5', 1900), ('10.0.0.5', 2000))
    """
    address, _, port = text.partition(":")
    if not address or not (port or str(PORT)).isdecimal():
        raise ValueError(f"{text!r} is no address of the form ADDRESS[:PORT]")
    return address, int(port or PORT)


if __name__ == "__main__":
    sys.exit(main())
