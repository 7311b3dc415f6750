"""kubeedge-actors, python -m kubeedge_actors: the front door of the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from kubeedge_actors.errors import UsageError
from kubeedge_actors.options.parsers import SCRIPT, main_parser, parser, program_name

PACKAGES = ("control", "dashboard", "deadletters", "demo")


def main(arguments: Sequence[str] | None = None) -> int:
    """Hand over to the command named first; the exit status."""
    if arguments is None and program_name() == SCRIPT:
        sys.path.insert(0, os.getcwd())  # as `python -m` does: modules of one's own are found from here
    argv = list(sys.argv[1:] if arguments is None else arguments)
    if not argv:
        main_parser().print_help(sys.stderr)
        return 2
    command = main_parser().parse_args(argv[:1]).command
    options = parser(command).parse_args(argv[1:])  # ends here for --help, before any library is needed
    if command == "token":
        return _token(options.data_dir / "token")
    if command == "completion":
        from kubeedge_actors.options.completion import completion_script

        print(completion_script(options.shell), end="")
        return 0
    module = f"{command}.__main__" if command in PACKAGES else command
    return int(import_module(f"kubeedge_actors.{module}").main(argv[1:]))


def _token(path: Path) -> int:
    from kubeedge_actors.entrypoint import run

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
