"""python -m kubeedge_actors deadletters: the messages that nobody took, of a cloud or an edge that runs or has run.

`list`, `show` and `drop` work on the file and need no running process. `replay` goes through the control socket of the process, because only
that has the mailboxes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from kubeedge_actors.control import SOCKET
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.deadletters.durable_dead_letters import FILE
from kubeedge_actors.drivers.store.dead_letters import DeadLetterDb, DeadLetterRow
from kubeedge_actors.entrypoint import run
from kubeedge_actors.errors import UsageError
from kubeedge_actors.options.parsers import parser
from kubeedge_actors.osutil.cipher import read_key_file
from kubeedge_actors.osutil.printable import indented, printable

HEADINGS = ("id", "time", "recipient", "type", "deliveries", "replayed", "reason")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command says; the exit status."""
    options = parser("deadletters").parse_args(arguments)
    return run("deadletters", lambda _: ACTS[options.command](options))


def _list(options: argparse.Namespace) -> None:
    file = _file(options)
    rows = file.all()
    if options.json:
        print(msgspec.json.encode([asdict(row) for row in rows]).decode())
        return
    print(_table(rows) if rows else "there are no dead letters")
    if forgotten := file.evicted_count():
        print(f"\n{forgotten} older ones were forgotten")


def _show(options: argparse.Namespace) -> None:
    row = _file(options).get(options.id)
    if row is None:
        raise _missing(options, options.id)
    fields = asdict(row) | {"at": _time_text(row.at), "replayed": _time_text(row.replayed) or "never"}
    text, traceback = fields.pop("message"), fields.pop("traceback")
    for name, value in fields.items():
        print(f"{name:<12}{printable(str(value))}")
    print(f"{'can replay':<12}{'no' if text is None else 'yes'}")
    if traceback:
        print(f"\n{indented(traceback.rstrip())}")


def _replay(options: argparse.Namespace) -> None:
    _file(options)
    client = ControlClient(options.data_dir / SOCKET)
    try:
        for number in options.ids:
            print(f"{number}: back in the mailbox of {client.ask('replay', id=number)}")
    finally:
        client.close()


def _drop(options: argparse.Namespace) -> None:
    file = _file(options)
    if options.all:
        print(f"{file.clear()} dropped")
        return
    for number in options.ids:
        if not file.drop(number):
            raise _missing(options, number)
        print(f"{number}: dropped")


ACTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "list": _list,
    "show": _show,
    "replay": _replay,
    "drop": _drop,
}


def _file(options: argparse.Namespace) -> DeadLetterDb:
    folder: Path = options.data_dir
    if not folder.is_dir():
        raise UsageError(f"there is no data directory {folder}")
    keys = read_key_file(options.encryption_key_file) if options.encryption_key_file else None
    return DeadLetterDb(folder / FILE, keys=keys)


def _missing(options: argparse.Namespace, number: int) -> UsageError:
    return UsageError(f"there is no dead letter {number} in {options.data_dir}")


def _table(rows: Sequence[DeadLetterRow]) -> str:
    lines: list[Sequence[Any]] = [HEADINGS]
    for row in rows:
        reason = f"{row.reason} ({row.error})" if row.error else row.reason
        kind = row.type.rpartition(":")[2]
        line = (
            row.id,
            _time_text(row.at),
            row.recipient or "-",
            kind,
            row.deliveries,
            "yes" if row.replayed else "",
            reason,
        )
        lines.append([printable(" ".join(str(cell).split())) for cell in line])
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _time_text(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) if at else ""


if __name__ == "__main__":
    sys.exit(main())
