"""A followed message as lines of text."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.control.formatting import SPAN_HEADING, span_line
from kubeedge_actors.control.traces import EVERY

QUIET = 2.0


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """What to follow: an id or `*`; then `actor` and `type` may narrow it, and `next` takes only the first that comes.

    `quiet`: end after so many seconds without a hop; None: never, or QUIET after the one message of `next` began.
    """

    id: str = EVERY
    actor: str = ""
    type: str = ""
    next: bool = False
    quiet: float | None = None


def follow(client: ControlClient, query: TraceQuery, stop: Callable[[], bool], *, as_json: bool = False) -> None:
    """Print each hop until `stop` says so, or it was quiet for long enough; the heading when no message is missed any more."""
    chosen, last = "", time.monotonic()

    def ended() -> bool:
        quiet = QUIET if query.quiet is None and chosen else query.quiet
        return stop() or (quiet is not None and time.monotonic() - last > quiet)

    with client.stream("trace", id=query.id, actor=query.actor, type=query.type, ready=True) as hops:
        for hop in hops.answers_until(ended):
            if "ready" in hop:
                print(end="" if as_json else f"{SPAN_HEADING}\n", flush=True)
                continue
            if query.next and not chosen:
                chosen = hop["id"]
            if not chosen or hop["id"] == chosen:
                last = time.monotonic()
                print(_text(hop, as_json), flush=True)


def _text(hop: dict[str, Any], as_json: bool) -> str:
    return msgspec.json.encode(hop).decode() if as_json else span_line(hop)
