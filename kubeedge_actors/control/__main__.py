"""python -m kubeedge_actors control: ask a running cloud or edge, or tell it what to do, from a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from kubeedge_actors.control.follow import Wish, follow
from kubeedge_actors.control.server import SOCKET
from kubeedge_actors.dashboard.client import ControlClient
from kubeedge_actors.dashboard.rows import table
from kubeedge_actors.dashboard.words import aligned, seconds
from kubeedge_actors.program import Ending, add_data_dir, run

Act = Callable[[argparse.Namespace, ControlClient, Ending], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command says; the exit status."""
    options = _parser().parse_args(arguments)
    act: Act = options.act
    client = ControlClient(options.socket or options.data_dir / SOCKET)
    try:
        return run("control", lambda ending: act(options, client, ending))
    finally:
        client.close()


def _parser() -> argparse.ArgumentParser:
    where = argparse.ArgumentParser(add_help=False)
    add_data_dir(where)
    where.add_argument(
        "--socket", type=Path, metavar="FILE", help="its control socket (default: in the data directory)"
    )
    where.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser = argparse.ArgumentParser(
        prog="python -m kubeedge_actors control",
        description="Ask a running cloud or edge, or tell it what to do, through its control socket.",
        epilog="Which one is said after the command: `control COMMAND --data-dir DIR`; `control COMMAND --help` tells the rest.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, act: Act, text: str, **more: Any) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[where], help=text, description=text, **more)
        command.set_defaults(act=act, command=name)
        return command

    add("tree", _tree, "the supervision tree with its figures, and the facts of the process")
    add("health", _health, "probe the actors: ok, hung, restarting or down; status 1 unless all are ok").add_argument(
        "actor", nargs="?", help="only this one"
    )
    for name, text in ACTIONS.items():
        add(name, _act, text).add_argument("actor")
    add("add", _add, "start a module of your own").add_argument("module", metavar="pkg.file:Class")
    add("errors", _errors, "the last errors, with their tracebacks").add_argument("actor", nargs="?", help="only its")
    add("events", _events, "a line for each event of supervision, until Ctrl-C")
    _trace_options(add("trace", _trace, "follow messages from actor to actor, until Ctrl-C"))
    return parser


ACTIONS = {
    "restart": "give an actor a new instance; its mailbox stays",
    "remove": "stop an actor for good",
    "crash": "make an actor crash, to see what happens; needs --allow-faults",
}


def _trace_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", default="*", help="of a message or a trace (default: every message)")
    parser.add_argument("--actor", default="", help="only messages to this actor, and what they lead to")
    parser.add_argument("--type", default="", help="only messages of this type, and what they lead to")
    parser.add_argument("--next", action="store_true", help="only the next one; ends when nothing more comes of it")
    parser.add_argument(
        "--quiet",
        type=float,
        metavar="SECONDS",
        help="end when nothing came for so long (default: never; with --next: 2 after it began)",
    )


def _tree(options: argparse.Namespace, client: ControlClient, ending: Ending) -> None:
    answer = client.ask("tree", health=True)
    print(_json(answer) if options.json else table(answer))


def _health(options: argparse.Namespace, client: ControlClient, ending: Ending) -> None:
    answer = client.ask("health", actor=options.actor)
    if options.json:
        print(_json(answer))
    else:
        rows = [
            (name, each["state"], seconds(each["age"]), seconds(each["answered"]) or "no answer")
            for name, each in answer.items()
        ]
        print(aligned([("actor", "health", "for", "answered in"), *rows]))
    ill = [name for name, each in answer.items() if each["state"] != "ok"]
    if ill:
        ending.ask(f"not ok: {', '.join(ill)}")


def _act(options: argparse.Namespace, client: ControlClient, ending: Ending) -> None:
    done = client.ask(options.command, actor=options.actor)
    print(_json(done) if options.json else f"{done}: {DONE[options.command]}")


DONE = {"restart": "restarted", "remove": "removed", "crash": "crashed"}


def _add(options: argparse.Namespace, client: ControlClient, ending: Ending) -> None:
    name = client.ask("add", module=options.module)
    print(_json(name) if options.json else f"{name}: added")
    for text in client.ask("tree").get("findings", ()):
        if text.startswith(f"{name} ") and not options.json:
            print(f"warning: {text}")


def _errors(options: argparse.Namespace, client: ControlClient, ending: Ending) -> None:
    answer = client.ask("errors", actor=options.actor)
    if options.json:
        print(_json(answer))
        return
    for each in answer:
        print(f"{each['name']}: {each['error']}\n{each['traceback']}")
    if not answer:
        print("there were none")


def _events(options: argparse.Namespace, client: ControlClient, ending: Ending) -> None:
    with client.stream("events") as events:
        for each in events.until(lambda: ending.asked):
            print(_json(each) if options.json else _event_line(each), flush=True)


def _event_line(event: dict[str, Any]) -> str:
    detail = event.get("error") or event.get("reason") or event.get("message") or ""
    if "letter" in event:
        detail = f"{event['letter']['type']}: {event['letter']['reason']}"
    return f"{event['event']:<13} {event['name'] or '(nobody)':<20} {detail}".rstrip()


def _trace(options: argparse.Namespace, client: ControlClient, ending: Ending) -> None:
    wish = Wish(options.id, options.actor, options.type, options.next, options.quiet)
    follow(client, wish, lambda: ending.asked, as_json=options.json)


def _json(answer: object) -> str:
    return msgspec.json.encode(answer).decode()


if __name__ == "__main__":
    sys.exit(main())
