"""python -m kubeedge_actors.dashboard: watch the supervision tree of a running cloud or edge."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kubeedge_actors.dashboard.client import ControlClient
from kubeedge_actors.dashboard.rows import table
from kubeedge_actors.errors import UsageError
from kubeedge_actors.program import Ending, add_data_dir, run

SOCKET = "control.sock"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw until `q`, or once; the exit status."""
    options = _parser().parse_args(arguments)
    return run("dashboard", lambda ending: watch(options, ending))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kubeedge_actors.dashboard",
        description="Watch the supervision tree of a running cloud or edge: state, mailboxes, rates, restarts, dead letters.",
    )
    add = parser.add_argument
    add_data_dir(parser)
    add("--socket", type=Path, metavar="FILE", help="its control socket (default: control.sock in the data directory)")
    add("--once", action="store_true", help="print one plain table and end")
    add("--json", action="store_true", help="print one JSON document and end")
    add("--trace", default="", metavar="ID", help="follow the message of this id from the beginning")
    add("--interval", type=float, default=1.0, metavar="SECONDS", help="between two looks (default: 1)")
    return parser


def watch(options: argparse.Namespace, ending: Ending) -> None:
    """What the options ask for."""
    path = options.socket or options.data_dir / SOCKET
    client = ControlClient(path)
    if options.json or options.once:
        answer = client.ask("tree", health=True)
        print(msgspec.json.encode(answer).decode() if options.json else table(answer))
    else:
        client.knock()
        _app(client, options, ending)


def _app(client: ControlClient, options: argparse.Namespace, ending: Ending) -> None:
    print(f"connecting to {client.path} ...", file=sys.stderr, flush=True)  # until the toolkit is there
    try:
        from kubeedge_actors.dashboard.app import Dashboard
    except ImportError as error:
        raise UsageError(
            "the dashboard needs textual: pip install 'kubeedge-actors[dashboard]', or use --once"
        ) from error
    Dashboard(client, options.interval, options.trace, lambda: ending.asked).run()


if __name__ == "__main__":
    sys.exit(main())
