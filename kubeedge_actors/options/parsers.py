"""The parser of every command. Only Python's own library, so that `--help` and `--version` need nothing installed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kubeedge_actors import __version__
from kubeedge_actors.config import default_data_dir
from kubeedge_actors.options import pods

SCRIPT, MODULE = "kubeedge-actors", "python -m kubeedge_actors"
"""The program that pip installs, and the same without it."""
SHELLS = ("bash", "zsh", "fish")
DASHBOARD_VIEWS = ("actors", "nodes", "pods", "devices", "deadletters", "events", "link", "store")
ABOUT = "Kubernetes-native edge computing; every module is an actor with a supervised mailbox."


class Command(NamedTuple):
    """One command: what it is, an example, and what puts its options and its description into a parser."""

    about: str
    example: str
    fill: Callable[[argparse.ArgumentParser], None]
    parser: type[argparse.ArgumentParser] = argparse.ArgumentParser


def program_name() -> str:
    """How this program was called, to be repeated to the person who did it."""
    return SCRIPT if Path(sys.argv[0]).name == SCRIPT else MODULE


def parser(command: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    made_by = COMMANDS[command].parser
    command_parser = made_by(prog=f"{program_name()} {command}", formatter_class=_formatter)
    _add_version(command_parser)
    COMMANDS[command].fill(command_parser)
    return command_parser


def main_parser() -> argparse.ArgumentParser:
    """The parser of the first word, which is a command."""
    listing = "\n".join(f"  {name:<13}{command.about}" for name, command in COMMANDS.items())
    examples = "\n".join(f"  {program_name()} {command.example}" for command in COMMANDS.values())
    first = argparse.ArgumentParser(
        prog=program_name(),
        usage="%(prog)s COMMAND [OPTIONS]",
        description=ABOUT,
        epilog=f"commands:\n{listing}\n\nexamples:\n{examples}\n\n"
        f"`{program_name()} COMMAND --help` tells the options of a command. `{SCRIPT}` and `{MODULE}` are the same.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_version(first)
    first.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    return first


def _formatter(prog: str) -> argparse.HelpFormatter:
    """As wide as the terminal for who asks for help; to find that out costs everybody else 0.5 MB."""
    help_asked = {"-h", "--help"} & set(sys.argv)
    return argparse.HelpFormatter(prog) if help_asked else argparse.HelpFormatter(prog, width=100)


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", action="version", version=f"kubeedge_actors {__version__}")


def _cloud(parser: argparse.ArgumentParser) -> None:
    from kubeedge_actors.options.cloud import CLOUD

    parser.description = (
        "The cloud side: a Kubernetes API (embedded, or a cluster's by --kubeconfig), CloudHub and controllers."
    )
    parser.epilog = (
        f"Join a node with: {program_name()} edge --name NAME --cloud https://HOST:10002 --token-file DATA_DIR/token"
    )
    parser.usage = "%(prog)s [OPTIONS]"
    CLOUD.add_to(parser)


def _edge(parser: argparse.ArgumentParser) -> None:
    from kubeedge_actors.options.edge import EDGE

    parser.description = "One edge node: pods, device twins and an MQTT broker, with a cloud or alone."
    parser.epilog = "Without --cloud the node works alone: broker, twins, static pods from --manifests."
    parser.usage = "%(prog)s [OPTIONS]"
    EDGE.add_to(parser)


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Start a cloud and an edge node on this machine, run a pod and a device on it, cut the link and mend it."
    )
    parser.add_argument(
        "--exit-after",
        type=float,
        metavar="SECONDS",
        help="end this long after all steps were checked, with status 0 only if they all worked (default: stay until Ctrl-C)",
    )
    parser.add_argument(
        "--runtime",
        choices=("process", "docker", "auto"),
        default="process",
        help="how the edge runs pods; the sample pod needs python3 in its image (default: %(default)s)",
    )


def _token(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the token with which an edge node joins this cloud. The cloud writes it anew every 12 hours; it is good for 24."
    parser.epilog = f"A node that is set up anew under its old name: {program_name()} token --node NAME (or wait 40 s after it went silent)."
    _add_data_dir(parser, "cloud", "the cloud's")
    add = parser.add_argument
    add(
        "action",
        nargs="?",
        choices=("revoke",),
        metavar="revoke",
        help="refuse all certificates that a node got until now, at every replica",
    )
    add("name", nargs="?", metavar="NODE", help="whose, with revoke")
    add(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="of the cluster, for revoke (default: kubeconfig in the data directory)",
    )
    add(
        "--node",
        metavar="NAME",
        help="make a token for this node only, which joins also while a node of that name is there",
    )
    add("--uses", type=int, default=1, metavar="NUMBER", help="how often that one is good (default: 1)")
    add("--ttl", default="1h", metavar="TIME", help="how long that one is good: 90s, 30m, 1h, 7d (default: 1h)")


def _dashboard(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Watch the supervision tree of a running cloud or edge: state, mailboxes, rates, restarts, dead letters."
    )
    add = parser.add_argument
    usual = default_data_dir("edge")
    add(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help=f"of the cloud or edge (default: {usual}, else all that run on this machine)",
    )
    _add_socket(parser)
    add("--context", default="", metavar="NAME", help="the one of this name among those that run on this machine")
    add("--contexts", action="store_true", help="list those that run on this machine and end")
    add(
        "--view",
        default="",
        choices=DASHBOARD_VIEWS,
        metavar="NAME",
        help=f"what to show: {', '.join(DASHBOARD_VIEWS)}",
    )
    add("--once", action="store_true", help="print one plain table and end")
    add("--json", action="store_true", help="print one JSON document and end")
    add("--trace", default="", metavar="ID", help="follow the message of this id from the beginning")
    add("--interval", type=float, default=1.0, metavar="SECONDS", help="between two looks (default: 1)")
    add(
        "--alert",
        default="",
        metavar="COMMAND",
        help="run this, with a sentence as its last word, when an actor gets into trouble",
    )
    add("--bell", action="store_true", help="ring the terminal's bell then")
    add(
        "--serve",
        default="",
        metavar="PORT",
        help="show the same in a browser: on this port of loopback (or HOST:PORT, 0: a free one), at an address with a token, which is printed",
    )


def _control(parser: argparse.ArgumentParser) -> None:
    common = argparse.ArgumentParser(add_help=False)
    _add_data_dir(common)
    _add_socket(common)
    common.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.description = "Ask a running cloud or edge, or tell it what to do, through its control socket."
    parser.epilog = "Which one is said after the command: `control COMMAND --data-dir DIR`; `control COMMAND --help` tells the rest."
    add = _subcommands(parser, common)
    add("tree", "the supervision tree with its figures, and the facts of the process")
    health = add("health", "probe the actors; status 1 unless all that ought to be there are well")
    health.add_argument("actor", nargs="?", help="only this one")
    add("actor", "one actor up close: its messages, who sends them, timers, last failures").add_argument("actor")
    add("history", "the last minutes of each actor").add_argument("actor", nargs="?", help="only its")
    add("nodes", "of a cloud: the nodes and their links")
    add("twins", "the devices of this node, or of all nodes of a cloud, and their twins")
    add("outbox", "of an edge: what waits for the cloud, and the link")
    add("stores", "the databases: sizes and commits")
    add("restart", "give an actor a new instance, also when it hangs; its mailbox stays").add_argument("actor")
    add("suspend", "stop an actor until `resume`; what is queued stays").add_argument("actor")
    add("resume", "start an actor again that was suspended").add_argument("actor")
    remove = add("remove", "stop an actor for good")
    remove.add_argument("actor")
    remove.add_argument(
        "--force", action="store_true", help="also one that is not a module of your own: others need it"
    )
    add("crash", "make an actor crash, to see what happens; needs --allow-faults").add_argument("actor")
    start = add("add", "start a module of your own")
    start.add_argument("module", metavar="pkg.file:Class")
    start.add_argument("--module-config", metavar="FILE", help="what is set for it, as for cloud and edge")
    add("errors", "the last errors, with their tracebacks").add_argument("actor", nargs="?", help="only its")
    add("events", "a line for each event of supervision, until Ctrl-C")
    _trace_options(add("trace", "follow messages from actor to actor, until Ctrl-C"))


def _trace_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("id", nargs="?", default="*", help="of a message or a trace (default: every message)")
    add("--actor", default="", help="only messages to this actor, and what they lead to")
    add("--type", default="", help="only messages of this type, and what they lead to")
    add("--next", action="store_true", help="only the next one; ends when nothing more comes of it")
    add(
        "--quiet",
        type=float,
        metavar="SECONDS",
        help="end when nothing came for so long (default: never; with --next: 2 after it began)",
    )


def _deadletters(parser: argparse.ArgumentParser) -> None:
    common = argparse.ArgumentParser(add_help=False)
    _add_data_dir(common)
    common.add_argument(
        "--encryption-key-file", type=Path, metavar="FILE", help="as of the cloud or edge, when it has one"
    )
    parser.description = "Messages that nobody took, and why. The newest 10,000 are kept."
    parser.epilog = "Whose is said after the command: `deadletters COMMAND --data-dir DIR`; `deadletters COMMAND --help` tells the rest."
    add = _subcommands(parser, common)
    add("list", "one line for each letter, the oldest first").add_argument(
        "--json", action="store_true", help="one JSON document with everything that is known of each"
    )
    add("show", "all that is known of one letter, with the traceback").add_argument("id", type=int)
    replay = add("replay", "put messages back into the mailboxes they came from; the cloud or edge has to run")
    replay.add_argument("ids", type=int, nargs="+", metavar="id")
    selection = add("drop", "forget letters").add_mutually_exclusive_group(required=True)
    selection.add_argument("ids", type=int, nargs="*", default=[], metavar="id")
    selection.add_argument("--all", action="store_true", help="forget every letter")


def _at_the_node(fill: Callable[[argparse.ArgumentParser], None]) -> Callable[[argparse.ArgumentParser], None]:
    """The same for a command that asks an edge."""

    def filled(parser: argparse.ArgumentParser) -> None:
        fill(parser)
        pods.add_place(parser, default_data_dir("edge"))

    return filled


def _ctl(parser: argparse.ArgumentParser) -> None:
    common = argparse.ArgumentParser(add_help=False)
    pods.add_place(common, default_data_dir("edge"))
    pods.add_ctl(parser, _subcommands(parser, common))


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.description = f"Print what lets a shell complete the words of {SCRIPT}."
    parser.epilog = f"In every new shell: put `source <({SCRIPT} completion bash)` into ~/.bashrc, the same with zsh into ~/.zshrc (after compinit); for fish put `{SCRIPT} completion fish | source` into ~/.config/fish/config.fish."
    parser.add_argument("shell", choices=SHELLS)


def _subcommands(
    parser: argparse.ArgumentParser, common: argparse.ArgumentParser
) -> Callable[[str, str], argparse.ArgumentParser]:
    made_by: type[argparse.ArgumentParser] = pods.CommandLineParser
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command", parser_class=made_by)

    def add(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, parents=[common], help=about, description=about, formatter_class=_formatter)

    return add


def _add_data_dir(parser: argparse.ArgumentParser, side: str = "edge", owner: str = "of the cloud or edge") -> None:
    """The option by which a command that asks a process finds it; the default is that of `side`."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=default_data_dir(side),
        metavar="DIR",
        help=f"{owner} (default: %(default)s)",
    )


def _add_socket(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--socket", type=Path, metavar="FILE", help="its control socket (default: control.sock in the data directory)"
    )


COMMANDS = {
    "cloud": Command(
        "the cloud side: Kubernetes API (embedded, or a cluster's), CloudHub and controllers",
        "cloud --data-dir C",
        _cloud,
    ),
    "edge": Command(
        "one edge node: pods, device twins, MQTT broker",
        "edge --name edge-1 --cloud https://127.0.0.1:10002 --token-file C/token --data-dir E",
        _edge,
    ),
    "demo": Command("both on this machine, with a sample pod and a simulated device", "demo --exit-after 5", _demo),
    "token": Command("print the join token of a cloud", "token --data-dir C", _token),
    "control": Command(
        "ask a running cloud or edge, or tell it what to do: tree, health, restart, add, trace ...",
        "control health --data-dir E",
        _control,
    ),
    "dashboard": Command("watch a running cloud or edge in the terminal", "dashboard --data-dir E", _dashboard),
    "pods": Command(
        "list the pods of a node, with or without a cloud", "pods -A --data-dir E", _at_the_node(pods.add_pods)
    ),
    "describe": Command(
        "tell all that a node knows of a pod", "describe web --data-dir E", _at_the_node(pods.add_describe)
    ),
    "logs": Command("print the log of a container", "logs -f web --data-dir E", _at_the_node(pods.add_logs)),
    "exec": Command(
        "run a command in a container",
        "exec -it web --data-dir E -- sh",
        _at_the_node(pods.add_exec),
        pods.CommandLineParser,
    ),
    "restart": Command(
        "stop the containers of a pod and start them anew",
        "restart web --data-dir E",
        _at_the_node(pods.add_restart),
    ),
    "release": Command(
        "let pods begin that are held at the node", "release web --data-dir E", _at_the_node(pods.add_release)
    ),
    "events": Command("list the Events of a node's pods", "events -A --data-dir E", _at_the_node(pods.add_events)),
    "ctl": Command("the same with the verbs of `keadm ctl`", "ctl get pod -o wide --data-dir E", _ctl),
    "deadletters": Command(
        "list, show, replay or drop the messages that nobody took", "deadletters list --data-dir E", _deadletters
    ),
    "completion": Command("print what lets bash, zsh or fish complete all this", "completion bash", _completion),
}
