"""python -m kubeedge_actors: the front door of the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from kubeedge_actors import __version__
from kubeedge_actors.errors import UsageError
from kubeedge_actors.program import add_data_dir, run

COMMANDS = {
    "cloud": "the cloud side: Kubernetes API (embedded, or a cluster's), CloudHub and controllers",
    "edge": "one edge node: pods, device twins, MQTT broker",
    "demo": "both on this machine, with a sample pod and a simulated device",
    "token": "print the join token of a cloud",
    "control": "ask a running cloud or edge, or tell it what to do: tree, health, restart, add, trace ...",
    "dashboard": "watch a running cloud or edge in the terminal",
    "deadletters": "list, show, replay or drop the messages that nobody took",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Hand over to the command named first; the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        _parser().print_help(sys.stderr)
        return 2
    options = _parser().parse_args(given[:1])
    if options.command == "token":
        return _token(given[1:])
    where = f"{options.command}.__main__" if options.command in ("control", "dashboard") else options.command
    return int(import_module(f"kubeedge_actors.{where}").main(given[1:]))


def _parser() -> argparse.ArgumentParser:
    listing = "\n".join(f"  {name:<13}{text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m kubeedge_actors",
        usage="%(prog)s COMMAND [OPTIONS]",
        description="Kubernetes-native edge computing; every module is an actor with a supervised mailbox.",
        epilog=f"commands:\n{listing}\n\n`python -m kubeedge_actors COMMAND --help` tells the options of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"kubeedge_actors {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    return parser


def _token(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m kubeedge_actors token",
        description="Print the token with which an edge node joins this cloud. The cloud writes it anew every 12 hours; it is good for 24.",
    )
    add_data_dir(parser, "cloud", "the cloud's")
    path: Path = parser.parse_args(arguments).data_dir / "token"
    return run("token", lambda _: _print(path))


def _print(path: Path) -> None:
    try:
        print(path.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"there is no token at {path}; a cloud that was started with this data directory writes it"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
