"""What a view shows, as plain text or as JSON, for a pipe, a log file, a screen reader, a script. Needs no library of the screen."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from kubeedge_actors.control.actor_table import table_text
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.control.formatting import process_summary
from kubeedge_actors.dashboard.history import History
from kubeedge_actors.dashboard.lines import Column, TableLine, drawn, fitted, speakable
from kubeedge_actors.dashboard.views import actors
from kubeedge_actors.dashboard.views.tables import ACTORS, EVENTS, NO_COMMAND, TABLES
from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.osutil.printable import printable

WIDEST = 10_000
"""Characters where no terminal sets an end: each column is as wide as it may become."""
NO_TERMINALS = ("", "dumb")


def view_answer(client: ControlClient, view: str) -> Any:
    """What the process answers for a view, "" for the one of old. UsageError: it has no such view; KubeEdgeActorsError: it does not answer."""
    if view in ("", ACTORS):
        return client.ask("tree", health=True)
    if view == EVENTS:
        raise UsageError("events are told as they happen: `control events` prints them")
    table = TABLES[view]
    try:
        return client.ask(table.command, **dict(table.arguments))
    except KubeEdgeActorsError as error:
        if NO_COMMAND in str(error):
            raise UsageError(f"the process at {client.path} has no {view} to show") from error
        raise


def json_of(answer: object) -> bytes:
    """One document in one line; JSON is UTF-8 in every locale."""
    return msgspec.json.encode(answer) + b"\n"


def view_text(client: ControlClient, view: str, width: int = WIDEST) -> str:
    """The view as a table, no line longer than `width`; errors as of `view_answer`. Without a view, the table of old, as wide as it is."""
    answer = view_answer(client, view)
    if not view:
        return table_text(answer)
    if view == ACTORS:
        lines = actors.lines(answer, {}, _history(client), actors.Look())
        return "\n".join([_table(actors.COLUMNS, lines, width), "", *process_summary(answer)])
    table = TABLES[view]
    lines = table.lines(answer, time.time())
    return _table(table.columns, lines, width) if lines else table.empty


def _history(client: ControlClient) -> History:
    history = History()
    with contextlib.suppress(KubeEdgeActorsError):  # an older process keeps none: there are no trends then
        history.add(client.ask("history"))
    return history


def _table(columns: tuple[Column, ...], lines: list[TableLine], width: int) -> str:
    return "\n".join(line.rstrip() for line in _rows(columns, lines, width))


def _rows(columns: tuple[Column, ...], lines: list[TableLine], width: int) -> Iterator[str]:
    shown = [replace(line, cells=tuple(map(printable, line.cells))) for line in lines]
    widths = fitted(columns, shown, width)
    yield drawn([column.title for column in columns], columns, widths)
    for line in shown:
        yield drawn(line.cells, columns, widths)


# --- standard output ------------------------------------------------------------------------------------------------


def terminal_width() -> int:
    """Of standard output; WIDEST when that is none."""
    return os.get_terminal_size(sys.stdout.fileno()).columns or WIDEST if sys.stdout.isatty() else WIDEST


def draws_on_terminal() -> bool:
    """Whether there is a terminal that one can draw on: not a pipe, a file, or a dumb one."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return (
        all(each is not None and each.isatty() for each in streams) and os.environ.get("TERM", "") not in NO_TERMINALS
    )


def write(text: str | bytes) -> None:
    """Print to standard output; quietly nothing more when the reader has gone. KubeEdgeActorsError: it takes nothing, a full disk say."""
    try:
        sys.stdout.buffer.write(text if isinstance(text, bytes) else _encoded(f"{text}\n"))
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_the_rest()
    except OSError as error:
        _drop_the_rest()
        raise KubeEdgeActorsError(f"standard output takes nothing: {error}") from error


def _encoded(text: str) -> bytes:
    return speakable(text).encode(sys.stdout.encoding or "ascii", "replace")


def _drop_the_rest() -> None:
    """Python flushes once more at its end: into what takes all."""
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
