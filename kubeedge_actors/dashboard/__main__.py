"""python -m kubeedge_actors.dashboard: watch the supervision tree of a running cloud or edge."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kubeedge_actors.install_hint import install_hint
from kubeedge_actors.options.parsers import parser

if __name__ == "__main__":
    parser("dashboard").parse_args()  # ends here for --help, before any library is needed
import msgspec

from kubeedge_actors.control.actor_table import table_text
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.entrypoint import Shutdown, run
from kubeedge_actors.errors import UsageError

SOCKET = "control.sock"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw until `q`, or once; the exit status."""
    options = parser("dashboard").parse_args(arguments)
    return run("dashboard", lambda shutdown: watch(options, shutdown))


def watch(options: argparse.Namespace, shutdown: Shutdown) -> None:
    """What the options ask for."""
    path = options.socket or options.data_dir / SOCKET
    client = ControlClient(path)
    if options.json or options.once:
        answer = client.ask("tree", health=True)
        print(msgspec.json.encode(answer).decode() if options.json else table_text(answer))
    else:
        client.check_reachable()
        _app(client, options, shutdown)


def _app(client: ControlClient, options: argparse.Namespace, shutdown: Shutdown) -> None:
    print(f"connecting to {client.path} ...", file=sys.stderr, flush=True)  # until the toolkit is there
    try:
        from kubeedge_actors.dashboard.app import Dashboard
    except ImportError as error:
        raise UsageError(f"the dashboard needs textual: {install_hint('dashboard')}; or use --once") from error
    Dashboard([client], options.interval, options.trace, lambda: shutdown.requested).run()


if __name__ == "__main__":
    sys.exit(main())
