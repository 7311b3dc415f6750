"""python -m kubeedge_actors pods, describe, logs, exec, restart, release, events and ctl: the pods of a node, asked for at the node."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.ctl import tables
from kubeedge_actors.ctl.describe import describe_pod
from kubeedge_actors.ctl.describe_device import describe_device
from kubeedge_actors.ctl.exec import run_command
from kubeedge_actors.ctl.logs import print_logs
from kubeedge_actors.ctl.pod_lookup import Json, named, named_devices, pod_name
from kubeedge_actors.entrypoint import Shutdown, run
from kubeedge_actors.errors import UsageError
from kubeedge_actors.options.parsers import parser
from kubeedge_actors.options.pods import DEVICE_WORDS, NODE_WORD

SOCKET = "control.sock"
VERBS = {"get": "pods", "unhold-upgrade": "release"}
"""Words of `ctl` that have another name without it."""
Act = Callable[[argparse.Namespace, ControlClient, Shutdown], int | None]


def main(command: str, arguments: Sequence[str] | None = None) -> int:
    """Do what the command says; the exit status: that of the command of `exec`, else 0, 1, or 2 for a person's mistake."""
    options = parser(command).parse_args(arguments)
    verb = options.command if command == "ctl" else command
    client = ControlClient(options.socket or options.data_dir / SOCKET)
    statuses: list[int] = []

    def body(shutdown: Shutdown) -> None:
        try:
            statuses.append(ACTS[VERBS.get(verb, verb)](options, client, shutdown) or 0)
            sys.stdout.flush()
        except BrokenPipeError:  # who reads has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still to be flushed goes there

    try:
        return run(verb, body) or sum(statuses)
    finally:
        client.close()


def _ask_pods(options: argparse.Namespace, client: ControlClient) -> list[Json]:
    """The pods that the options name, else those that they select."""
    found: list[Json] = client.ask(
        "pods", namespace="" if options.all_namespaces else options.namespace, selector=options.selector
    )
    return named(found, options.pods, options.namespace) if options.pods else found


def _is_about_devices(options: argparse.Namespace) -> bool:
    return getattr(options, "resource", "") in DEVICE_WORDS


def _ask_devices(options: argparse.Namespace, client: ControlClient) -> list[Json]:
    found: list[Json] = client.ask(
        "devices", namespace="" if options.all_namespaces else options.namespace, selector=options.selector
    )
    return named_devices(found, options.pods, options.namespace) if options.pods else found


def _print_objects(options: argparse.Namespace, found: list[Json], kind: str) -> None:
    shown: Any = found[0] if len(options.pods) == 1 else tables.as_list(found)
    print(tables.names(found, kind) if options.output == "name" else tables.document(shown, options.output))


def _devices(options: argparse.Namespace, client: ControlClient) -> None:
    devices = _ask_devices(options, client)
    if options.output in ("json", "yaml", "name"):
        _print_objects(options, devices, "device")
    elif not devices:
        _say_nothing_found(options)
    else:
        headings = not options.no_headers
        print(tables.device_table(devices, time.time(), namespaces=options.all_namespaces, headings=headings))


def _pods(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    if _is_about_devices(options):
        _devices(options, client)
        return
    pods = _ask_pods(options, client)
    if options.output in ("json", "yaml", "name"):
        _print_objects(options, pods, "pod")
    elif not pods:
        _say_nothing_found(options)
    else:
        wide, headings = options.output == "wide", not options.no_headers
        print(tables.pod_table(pods, time.time(), wide=wide, namespaces=options.all_namespaces, headings=headings))


def _say_nothing_found(options: argparse.Namespace) -> None:
    where = "" if options.all_namespaces else f" in {options.namespace} namespace (-A: in all)"
    print(f"No resources found{where}.", file=sys.stderr)


def _describe(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    if _is_about_devices(options):
        texts = [describe_device(device, time.time()) for device in _ask_devices(options, client)]
    else:
        pods = _ask_pods(options, client)
        events = client.ask("podevents") if pods else []
        texts = [describe_pod(pod, _about(pod, events), time.time()) for pod in pods]
    if texts:
        print("\n\n".join(texts))
    else:
        _say_nothing_found(options)


def _about(pod: Json, events: Sequence[Json]) -> list[Json]:
    return [event for event in events if event["involvedObject"]["uid"] == pod["metadata"].get("uid")]


def _logs(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    print_logs(options, client, lambda: shutdown.requested)


def _exec(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> int:
    return run_command(options, client, lambda: shutdown.requested)


def _restart(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    for text in options.pods:
        name = pod_name(text)
        ran = client.ask("podrestart", namespace=options.namespace, pod=name)
        print(f"pod/{name} restarted" + (f": {', '.join(ran)}" if ran else ": none of its containers ran"))


def _release(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    whole_node = options.all or getattr(options, "resource", "") == NODE_WORD
    if not whole_node and not options.pods:
        raise UsageError("name the pods to release, or --all for all that are held at this node")
    names = [""] if whole_node else [pod_name(text) for text in options.pods]
    answers = [client.ask("podrelease", namespace=options.namespace, pod=name) for name in names]
    released = [each for answer in answers for each in answer]
    for each in released:
        print(f"pod/{each.rpartition('/')[2]} released")
    if not released:
        print("No held pods found.", file=sys.stderr)


def _events(options: argparse.Namespace, client: ControlClient, shutdown: Shutdown) -> None:
    events = client.ask("podevents", namespace="" if options.all_namespaces else options.namespace)
    if options.about:
        kind, _, name = options.about.rpartition("/")
        if kind not in ("", "pod", "pods", "po"):
            raise UsageError(f"--for {options.about}: there are Events of pods only: --for pod/NAME")
        events = [event for event in events if event["involvedObject"]["name"] == name]
    if options.output:
        print(tables.document(tables.as_list(events), options.output))
    elif events:
        print(tables.event_table(events, time.time(), namespaces=options.all_namespaces))
    else:
        where = "" if options.all_namespaces else f" in {options.namespace} namespace (-A: in all)"
        print(f"No events found{where}.", file=sys.stderr)


ACTS: dict[str, Act] = {
    "pods": _pods,
    "describe": _describe,
    "logs": _logs,
    "exec": _exec,
    "release": _release,
    "restart": _restart,
    "events": _events,
}


if __name__ == "__main__":
    sys.exit(main("ctl"))
