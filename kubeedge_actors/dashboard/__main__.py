"""python -m kubeedge_actors.dashboard: watch the supervision tree of a running cloud or edge, or of several."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from kubeedge_actors.config import default_data_dir
from kubeedge_actors.install_hint import install_hint
from kubeedge_actors.options.parsers import parser

if __name__ == "__main__":
    parser("dashboard").parse_args()  # ends here for --help, before any library is needed
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.dashboard.alerts import Alerts
from kubeedge_actors.dashboard.command_line import contexts, plain
from kubeedge_actors.dashboard.command_line.contexts import Context
from kubeedge_actors.dashboard.command_line.serving import serve_in_browser
from kubeedge_actors.dashboard.views.tables import ACTORS
from kubeedge_actors.entrypoint import Shutdown, print_hint, run
from kubeedge_actors.errors import UsageError

SIDE = "edge"
"""The side whose default data directory is looked at first."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw until `q`, or print once; the exit status."""
    options = parser("dashboard").parse_args(arguments)
    return run("dashboard", lambda shutdown: watch(options, shutdown))


def watch(options: argparse.Namespace, shutdown: Shutdown) -> None:
    """What the options ask for."""
    if options.contexts:
        _list(contexts.running_contexts(), as_json=options.json)
        return
    alerts = Alerts(options.alert, bell=options.bell)
    watched = watched_contexts(options)
    if options.serve:
        _serve(watched, options, shutdown)
    elif options.json or options.once:
        _print(watched, options)
    elif not plain.draws_on_terminal():
        if sys.stdout.isatty():
            print_hint("dashboard", "this terminal can not be drawn on: the table once, as by --once")
        _print(watched, options)
    else:
        _draw(watched, options, alerts, shutdown)


def watched_contexts(options: argparse.Namespace) -> list[Context]:
    """What is to be watched: at the place that was named, or else in the default data directory, or else all that run here. UsageError: nothing."""
    place = options.socket or (options.data_dir and options.data_dir / contexts.SOCKET)
    if options.context:
        if place:
            raise UsageError(
                "--context looks among all that run here, --data-dir and --socket name one: give one of them"
            )
        return [contexts.chosen_context(contexts.running_contexts(), options.context)]
    if place:
        return [Context(str(place), place)]
    usual = default_data_dir(SIDE) / contexts.SOCKET
    if contexts.is_served(usual):
        return [Context(str(usual), usual)]
    found = contexts.running_contexts()
    if not found:
        raise UsageError(contexts.nothing_runs())
    return found


def _list(found: Sequence[Context], *, as_json: bool) -> None:
    if as_json:
        plain.write(plain.json_of(contexts.contexts_view(found)))
    elif found:
        plain.write(contexts.contexts_text(found))
    else:
        raise UsageError(contexts.nothing_runs())


def _print(watched: Sequence[Context], options: argparse.Namespace) -> None:
    client = ControlClient(_only(watched, "one table is of one process").path)
    try:
        if options.json:
            plain.write(plain.json_of(plain.view_answer(client, options.view)))
        else:
            plain.write(plain.view_text(client, options.view, plain.terminal_width()))
    finally:
        client.close()


def _serve(watched: Sequence[Context], options: argparse.Namespace, shutdown: Shutdown) -> None:
    if options.json or options.once:
        raise UsageError("--serve draws for a browser, --once and --json print: give one of them")
    _check_drawable(watched, options)
    serve_in_browser(options, ", ".join(each.name for each in watched), shutdown)


def _check_drawable(watched: Sequence[Context], options: argparse.Namespace) -> None:
    if options.trace:
        _only(watched, "a message begins in one of them")
    for each in watched:
        contexts.check_served(each.path)


def _only(watched: Sequence[Context], why: str) -> Context:
    if len(watched) > 1:
        raise UsageError(f"several run here, and {why}: say which by --context: {contexts.names_text(watched)}")
    return watched[0]


def _draw(watched: Sequence[Context], options: argparse.Namespace, alerts: Alerts, shutdown: Shutdown) -> None:
    _check_drawable(watched, options)
    names = [each.name for each in watched]
    print(f"connecting to {', '.join(names)} ...", file=sys.stderr, flush=True)  # until the toolkit is there
    try:
        from kubeedge_actors.dashboard.app import Dashboard
    except ImportError as error:
        raise UsageError(f"the dashboard needs textual: {install_hint('dashboard')}; or use --once") from error
    for side in (
        "COLUMNS",
        "LINES",
    ):  # of a shell that exports them: the toolkit would believe them instead of the window
        os.environ.pop(side, None)
    clients = [ControlClient(each.path) for each in watched]
    Dashboard(
        clients,
        options.interval,
        options.trace,
        lambda: shutdown.requested,
        names=names,
        view=options.view or ACTORS,
        alerts=alerts,
    ).run()


if __name__ == "__main__":
    sys.exit(main())
