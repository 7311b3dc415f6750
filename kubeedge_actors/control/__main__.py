"""python -m kubeedge_actors control: ask a running cloud or edge, or tell it what to do, from a shell."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from kubeedge_actors.control.actor_table import table_text
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.control.detail_text import actor_text, history_text
from kubeedge_actors.control.formatting import aligned, format_seconds, worker_process_text
from kubeedge_actors.control.query_text import nodes_text, outbox_text, stores_text, twins_text
from kubeedge_actors.control.server import SOCKET
from kubeedge_actors.control.trace_command import TraceQuery, follow
from kubeedge_actors.entrypoint import Shutdown, run
from kubeedge_actors.options.parsers import parser
from kubeedge_actors.osutil.printable import indented, printable

Act = Callable[[argparse.Namespace, ControlClient, Shutdown], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command says; the exit status."""
    options = parser("control").parse_args(arguments)
    client = ControlClient(options.socket or options.data_dir / SOCKET)
    try:
        return run("control", lambda shutdown: ACTS[options.command](options, client, shutdown))
    finally:
        client.close()


def _tree(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    answer = client.ask("tree", health=True)
    print(_json(answer) if options.json else table_text(answer))


def _health(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    answer = client.ask("health", actor=options.actor)
    if options.json:
        print(_json(answer))
    else:
        rows = [
            (
                f"{name}{worker_process_text(health.get('process', {}))}",
                health["state"],
                format_seconds(health["age"]),
                format_seconds(health["answered"]) or "no answer",
                health["reason"],
            )
            for name, health in answer.items()
        ]
        print(aligned([("actor", "health", "for", "answered in", "why"), *rows]))
    if ill := _ill(answer):
        shutdown.request(f"not ok: {', '.join(ill)}")


def _ill(answer: dict[str, Any]) -> list[str]:
    """Who is not well, and why; those that only wait for another actor come last."""
    ill = {name: health for name, health in answer.items() if not health["well"]}
    ordered = sorted(ill, key=lambda name: bool(ill[name]["blocked_by"]))
    return [f"{name} ({ill[name]['reason'] if ill[name]['blocked_by'] else ill[name]['state']})" for name in ordered]


def _act(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    force = {"force": True} if options.command == "remove" and options.force else {}
    result = client.ask(options.command, actor=options.actor, **force)
    print(_json(result) if options.json else f"{result}: {DONE[options.command]}")


DONE = {"restart": "restarted", "suspend": "suspended", "resume": "resumed", "remove": "removed", "crash": "crashed"}


def _add(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    config = {"config": os.path.abspath(options.module_config)} if options.module_config else {}
    name = client.ask("add", module=options.module, folder=os.getcwd(), **config)
    print(_json(name) if options.json else f"{name}: added")
    for text in client.ask("tree").get("findings", ()):
        if text.startswith((f"{name} ", f"{name}: ")) and not options.json:
            print(f"warning: {text}")


def _errors(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    answer = client.ask("errors", actor=options.actor)
    if options.json:
        print(_json(answer))
        return
    for crash in answer:
        print(printable(f"{crash['name']}: {crash['error']}"), indented(crash["traceback"]), sep="\n")
    if not answer:
        print("there were none")


def _shown_by(text: Callable[[Any], str], *arguments: str) -> Act:
    """A command that asks what it is called, with these options of it, and shows the answer by `text`."""

    def act(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
        answer = client.ask(options.command, **{name: getattr(options, name) for name in arguments})
        print(_json(answer) if options.json else text(answer))

    return act


def _events(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    with client.stream("events") as events:
        if not options.json:
            print("waiting for events; Ctrl-C ends it", file=sys.stderr, flush=True)
        for event in events.answers_until(lambda: shutdown.requested):
            print(_json(event) if options.json else _event_line(event), flush=True)


def _event_line(event: dict[str, Any]) -> str:
    detail = event.get("error") or event.get("reason") or event.get("message") or ""
    if "letter" in event:
        detail = f"{event['letter']['type']}: {event['letter']['reason']}"
    return printable(f"{event['event']:<13} {event['name'] or '(nobody)':<20} {detail}".rstrip())


def _trace(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    wish = TraceQuery(options.id, options.actor, options.type, options.next, options.quiet)
    follow(client, wish, lambda: shutdown.requested, as_json=options.json)


ACTS: dict[str, Act] = {
    "tree": _tree,
    "health": _health,
    "actor": _shown_by(actor_text, "actor"),
    "history": _shown_by(history_text, "actor"),
    "nodes": _shown_by(nodes_text),
    "twins": _shown_by(twins_text),
    "outbox": _shown_by(outbox_text),
    "stores": _shown_by(stores_text),
    **dict.fromkeys(DONE, _act),
    "add": _add,
    "errors": _errors,
    "events": _events,
    "trace": _trace,
}


def _json(answer: object) -> str:
    return msgspec.json.encode(answer).decode()


if __name__ == "__main__":
    sys.exit(main())
