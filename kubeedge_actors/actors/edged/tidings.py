"""What of an operation's outcome is worth an Event: type, reason, text, container. Pure; words of the kubelet."""

from __future__ import annotations

from collections.abc import Iterator

from kubeedge_actors.actors.edged.events import NORMAL, WARNING
from kubeedge_actors.actors.edged.jobs import NEVER_PULL_ERROR, PULL_ERROR, Done
from kubeedge_actors.actors.edged.plan import Operation
from kubeedge_actors.actors.edged.podspec import ContainerView, PodView

Tiding = tuple[str, str, str, str]
PROCESSES = "process"


def tidings(pod: PodView, operation: Operation, done: Done, engine: str) -> Iterator[Tiding]:
    """The Events of one outcome, in order. `engine`: name and version of what runs containers."""
    view, name = pod.container(operation.name), operation.name
    if operation.verb == "launch" and view is not None:
        yield from _launch(view, done, images=not engine.startswith(PROCESSES))
    elif operation.verb == "prepare" and not done.good:
        yield WARNING, "FailedMount", done.message, ""
    elif operation.verb == "probe" and not done.good and not done.unavailable:
        yield WARNING, "Unhealthy", f"{operation.probe.capitalize()} probe failed: {done.message}", name
    elif operation.verb == "stop" and done.good:
        yield NORMAL, "Killing", f"Stopping container {name}", name


def _launch(view: ContainerView, done: Done, *, images: bool) -> Iterator[Tiding]:
    name = view.name
    if done.pull:
        if images:
            yield NORMAL, "Pulling", f'Pulling image "{view.image}"', name
    elif done.reason == PULL_ERROR:
        yield WARNING, "Failed", f'Failed to pull image "{view.image}": {done.message}', name
    elif done.reason == NEVER_PULL_ERROR:
        yield WARNING, NEVER_PULL_ERROR, done.message, name
    elif done.reason:
        yield WARNING, "Failed", f"Error: {done.message}", name
    elif done.good:
        if images:
            there = f'Container image "{view.image}" already present on machine'
            yield NORMAL, "Pulled", f'Successfully pulled image "{view.image}"' if done.pulled else there, name
        yield NORMAL, "Created", f"Created container: {name}", name
        if done.message:
            yield WARNING, "Failed", f'Error: failed to start container "{name}": {done.message}', name
        else:
            yield NORMAL, "Started", f"Started container {name}", name
