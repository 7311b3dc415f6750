"""The parsers of what a person at a node asks of its pods. The words are kubectl's; below `ctl` they are those of KubeEdge's `keadm ctl`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Add = Callable[[str, str], argparse.ArgumentParser]
POD_WORDS = ("pod", "pods", "po")
DEVICE_WORDS = ("device", "devices")
NODE_WORD = "node"
"""All pods of the node, for `ctl unhold-upgrade`."""
EPILOG = "The edge has to run, with or without a cloud; it is found by --data-dir."


class CommandLineParser(argparse.ArgumentParser):
    """What stands behind `--` is the command line of another program: `command_line`."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Read what is before `--`."""
        words = list(sys.argv[1:] if args is None else args)
        end = words.index("--") if "--" in words else len(words)
        options, rest = super().parse_known_args(words[:end], namespace)
        options.command_line = words[end + 1 :]
        return options, rest


def add_pods(parser: argparse.ArgumentParser) -> None:
    """List pods."""
    parser.description = "The pods of a node, as kubectl get pods shows them."
    parser.epilog = EPILOG
    _add_names(parser)
    _add_table_options(parser)


def add_describe(parser: argparse.ArgumentParser) -> None:
    """Describe pods."""
    parser.description = "All that a node knows of pods: containers, states, conditions, volumes, Events."
    parser.epilog = EPILOG
    _add_names(parser)
    _add_namespace(parser)
    _add_selector(parser)


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Print logs."""
    parser.description = "The log of a container of a pod."
    parser.epilog = EPILOG
    add = parser.add_argument
    add("pod", metavar="POD")
    add("container_name", nargs="?", metavar="CONTAINER", help="which container (default: the first)")
    _add_namespace(parser, everywhere=False)
    _add_container(parser)
    add("--all-containers", action="store_true", help="of every container of the pod, init containers too")
    add("--prefix", action="store_true", help="begin each line with pod and container")
    add("-f", "--follow", action="store_true", help="go on with what comes, until the container ends or Ctrl-C")
    add("-p", "--previous", action="store_true", help="of the run before the last restart")
    add("--timestamps", action="store_true", help="begin each line with when it was written")
    add("--tail", type=int, default=-1, metavar="LINES", help="only so many lines from the end (default: all)")
    add("--since", default="", metavar="TIME", help="only what is not older: 90s, 5m, 1h30m")
    add("--since-time", default="", metavar="TIME", help="only from then on: 2026-01-31T12:00:00Z")
    add("--limit-bytes", type=int, default=0, metavar="BYTES", help="not more than so many bytes (default: all)")


def add_exec(parser: argparse.ArgumentParser) -> None:
    """Run a command."""
    parser.usage = "%(prog)s [OPTIONS] POD -- COMMAND [ARGUMENT ...]"
    parser.description = "Run a command in a container of a pod; its exit status is that of this one."
    parser.epilog = f"{EPILOG} A shell at a terminal: %(prog)s -it POD -- sh"
    add = parser.add_argument
    add("pod", metavar="POD")
    _add_namespace(parser, everywhere=False)
    _add_container(parser)
    add("-i", "--stdin", action="store_true", help="pass standard input on to the command")
    add("-t", "--tty", action="store_true", help="give the command a terminal, as large as this one")


def add_restart(parser: argparse.ArgumentParser) -> None:
    """Restart pods."""
    parser.description = "Stop the containers of pods and start them anew, also when a crash loop lets them wait. The pod stays the same, its restart count rises."
    parser.epilog = EPILOG
    parser.add_argument("pods", nargs="+", metavar="POD")
    _add_namespace(parser, everywhere=False)


def add_release(parser: argparse.ArgumentParser) -> None:
    """Release pods."""
    parser.description = (
        "Let pods begin that the annotation edge.kubeedge.io/hold-upgrade holds at this node, with or without a cloud."
    )
    parser.epilog = EPILOG
    parser.add_argument("pods", nargs="*", metavar="POD")
    parser.add_argument("--all", action="store_true", help="all that are held, in all namespaces")
    _add_namespace(parser, everywhere=False)


def add_events(parser: argparse.ArgumentParser) -> None:
    """List Events."""
    parser.description = "The Events of a node's pods since the edge was started, the newest at the end; the last 512 that differ are kept."
    parser.epilog = EPILOG
    _add_namespace(parser)
    parser.add_argument("--for", dest="about", default="", metavar="pod/NAME", help="only those about this pod")
    _add_output(parser, ("json", "yaml"))


def add_ctl(parser: argparse.ArgumentParser, add: Add) -> None:
    """The verbs of `keadm ctl`; `add(name, about)` adds a command."""
    parser.description = (
        "Ask an edge node about its pods and devices, or tell it what to do, with the verbs of KubeEdge's `keadm ctl`."
    )
    parser.epilog = "`ctl COMMAND --help` tells the rest; `pods`, `describe`, `logs`, `exec`, `restart`, `release` (here `unhold-upgrade`) and `events` are the same in short."
    get = add("get", "list pods or devices")
    _add_resource(get, *DEVICE_WORDS)
    add_pods(get)
    get.description = "The pods or the devices of a node, as kubectl get shows them; devices with the state and the values that they have at the node."
    describe = add("describe", "tell all that is known of pods or devices")
    _add_resource(describe, *DEVICE_WORDS)
    add_describe(describe)
    describe.description = "All that a node knows of pods (containers, states, conditions, volumes, Events), or of devices (what is desired, what is reported)."
    add_logs(add("logs", "print the log of a container"))
    add_exec(add("exec", "run a command in a container"))
    restart = add("restart", "stop the containers of pods and start them anew")
    _add_resource(restart)
    add_restart(restart)
    release = add("unhold-upgrade", "let held pods begin")
    release.add_argument("resource", choices=(*POD_WORDS, NODE_WORD), metavar="{pod,pods,po,node}")
    add_release(release)


def _add_resource(parser: argparse.ArgumentParser, *more: str) -> None:
    words = (*POD_WORDS, *more)
    parser.add_argument("resource", choices=words, metavar=f"{{{','.join(words)}}}")


def _add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pods", nargs="*", metavar="NAME", help="only these (default: all of the namespace)")


def _add_table_options(parser: argparse.ArgumentParser) -> None:
    _add_namespace(parser)
    _add_selector(parser)
    _add_output(parser, ("wide", "json", "yaml", "name"))
    parser.add_argument("--no-headers", action="store_true", help="without the line of headings")


def _add_namespace(parser: argparse.ArgumentParser, *, everywhere: bool = True) -> None:
    add = parser.add_argument
    add("-n", "--namespace", default="default", metavar="NAMESPACE", help="of this namespace (default: default)")
    if everywhere:
        add("-A", "--all-namespaces", action="store_true", help="of all namespaces")


def _add_selector(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-l", "--selector", default="", metavar="LABELS", help="only with these labels: app=web,tier!=test"
    )


def _add_output(parser: argparse.ArgumentParser, forms: Sequence[str]) -> None:
    add = parser.add_argument
    add("-o", "--output", choices=forms, default="", metavar=f"{{{','.join(forms)}}}", help="how it is shown")


def _add_container(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--container", default="", metavar="CONTAINER", help="which one (default: the first)")


def add_place(parser: argparse.ArgumentParser, data_dir: Path) -> None:
    """Which edge is meant; `data_dir`: the default."""
    add = parser.add_argument
    add("--data-dir", type=Path, default=data_dir, metavar="DIR", help="of the edge (default: %(default)s)")
    add("--socket", type=Path, metavar="FILE", help="its control socket (default: control.sock in the data directory)")
