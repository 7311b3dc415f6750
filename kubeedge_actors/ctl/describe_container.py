"""A container of a pod as kubectl describe prints it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kubeedge_actors.kubernetes.durations import NONE

Json = dict[str, Any]
Moment = Callable[[str | None], str]
NODE_ALLOCATABLE = "node allocatable"


def container_lines(pod: Json, container: Json, status: Json | None, moment: Moment) -> Iterator[str]:
    """The lines of one container; `status` is None when nothing is known of it, `moment` writes a time."""
    yield f"  {container['name']}:"
    if status is not None:
        yield f"    Container ID:\t{status.get('containerID', '')}"
    yield f"    Image:\t{container.get('image', '')}"
    if status is not None:
        yield f"    Image ID:\t{status.get('imageID', '')}"
    yield from _ports(container.get("ports") or (), "Port", "containerPort")
    yield from _ports(container.get("ports") or (), "Host Port", "hostPort")
    for title, words in (("Command", container.get("command")), ("Args", container.get("args"))):
        if words:
            yield f"    {title}:"
            yield from (f"      {line}" for word in words for line in str(word).split("\n"))
    if status is not None:
        yield from _states(status, moment)
    yield from _resources(container.get("resources") or {})
    for title in ("liveness", "readiness", "startup"):
        if container.get(f"{title}Probe"):
            yield f"    {title.title()}:\t{probe_text(container[f'{title}Probe'])}"
    yield from _sources(container)
    yield from _variables(pod, container)
    yield from _mounts(container)


def _ports(ports: Any, title: str, field: str) -> Iterator[str]:
    names = [f" ({port['name']})" if port.get("name") else "" for port in ports]
    texts = [
        f"{port.get(field, 0)}/{port.get('protocol', 'TCP')}{name}" for port, name in zip(ports, names, strict=True)
    ]
    yield f"    {title}{'s' if len(texts) > 1 else ''}:\t{', '.join(texts) or NONE}"


def _states(status: Json, moment: Moment) -> Iterator[str]:
    yield from _state("State", status.get("state") or {}, moment)
    last = status.get("lastState") or {}
    if last.get("terminated"):
        yield from _state("Last State", last, moment)
    yield f"    Ready:\t{bool(status.get('ready'))}"
    yield f"    Restart Count:\t{status.get('restartCount', 0)}"


def _state(title: str, state: Json, moment: Moment) -> Iterator[str]:
    if state.get("running") is not None:
        yield f"    {title}:\tRunning"
        yield f"      Started:\t{moment(state['running'].get('startedAt'))}"
        return
    ended = state.get("terminated")
    if ended is None:
        yield f"    {title}:\tWaiting"
        if (state.get("waiting") or {}).get("reason"):
            yield f"      Reason:\t{state['waiting']['reason']}"
        return
    yield f"    {title}:\tTerminated"
    for name in ("reason", "message"):
        if ended.get(name):
            yield f"      {name.title()}:\t{ended[name]}"
    yield f"      Exit Code:\t{ended.get('exitCode', 0)}"
    if ended.get("signal"):
        yield f"      Signal:\t{ended['signal']}"
    yield f"      Started:\t{moment(ended.get('startedAt'))}"
    yield f"      Finished:\t{moment(ended.get('finishedAt'))}"


def _resources(resources: Json) -> Iterator[str]:
    for title in ("limits", "requests"):
        if resources.get(title):
            yield f"    {title.title()}:"
            yield from (f"      {name}:\t{amount}" for name, amount in sorted(resources[title].items()))


def probe_text(probe: Json) -> str:
    """What a probe does, and when.

    >>> probe_text({"tcpSocket": {"port": 80}, "periodSeconds": 5})
    'tcp-socket :80 delay=0s timeout=1s period=5s #success=1 #failure=3'
    """
    times = (
        f"delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s #success={probe.get('successThreshold', 1)} "
        f"#failure={probe.get('failureThreshold', 3)}"
    )
    if command := probe.get("exec"):
        return f"exec [{' '.join(command.get('command') or ())}] {times}"
    if http := probe.get("httpGet"):
        scheme, host = str(http.get("scheme") or "HTTP").lower(), http.get("host") or ""
        return f"http-get {scheme}://{host}:{http.get('port', '')}{http.get('path') or ''} {times}"
    if socket := probe.get("tcpSocket"):
        return f"tcp-socket {socket.get('host') or ''}:{socket.get('port', '')} {times}"
    if grpc := probe.get("grpc"):
        return f"grpc <pod>:{grpc.get('port', 0)} {grpc.get('service') or ''} {times}"
    return f"unknown {times}"


def _sources(container: Json) -> Iterator[str]:
    sources = container.get("envFrom") or ()
    if sources:
        yield "    Environment Variables from:"
    for source in sources:
        kind = "ConfigMap" if source.get("configMapRef") else "Secret"
        reference = source.get("configMapRef") or source.get("secretRef") or {}
        prefix = f" with prefix '{source['prefix']}'" if source.get("prefix") else ""
        yield f"      {reference.get('name', '')}\t{kind}{prefix}\tOptional: {_truth(reference.get('optional'))}"


def _variables(pod: Json, container: Json) -> Iterator[str]:
    variables = container.get("env") or ()
    yield "    Environment:" if variables else f"    Environment:\t{NONE}"
    for variable in variables:
        first, *more = _value(pod, container, variable)
        yield f"      {variable['name']}:\t{first}"
        yield from (f"      \t{line}" for line in more)


def _value(pod: Json, container: Json, variable: Json) -> list[str]:
    source = variable.get("valueFrom")
    if not source:
        return str(variable.get("value") or "").split("\n")
    if field := source.get("fieldRef"):
        path = _field_path(field["fieldPath"])
        return [f"{_at(pod, path)} ({field.get('apiVersion', 'v1')}:{field['fieldPath']})"]
    if field := source.get("resourceFieldRef"):
        kind, _, name = str(field["resource"]).partition(".")
        amount = ((container.get("resources") or {}).get(kind) or {}).get(name)
        return [f"{amount or NODE_ALLOCATABLE} ({field['resource']})"]
    kind, reference = ("in secret", source.get("secretKeyRef"))
    if not reference:
        kind, reference = ("of config map", source.get("configMapKeyRef") or {})
    key, name = reference.get("key", ""), reference.get("name", "")
    return [f"<set to the key '{key}' {kind} '{name}'>\tOptional: {_truth(reference.get('optional'))}"]


def _field_path(path: str) -> tuple[str, ...]:
    head, _, key = path.partition("['")
    return (*head.split("."), key.removesuffix("']")) if key else tuple(head.split("."))


def _at(object: Any, path: tuple[str, ...]) -> str:
    for name in path:
        object = object.get(name) if isinstance(object, dict) else None
    return "" if object is None else str(object)


def _mounts(container: Json) -> Iterator[str]:
    mounts = sorted(container.get("volumeMounts") or (), key=lambda mount: str(mount["mountPath"]))
    yield "    Mounts:" if mounts else f"    Mounts:\t{NONE}"
    for mount in mounts:
        flags = ["ro" if mount.get("readOnly") else "rw"]
        flags += [f'path="{mount["subPath"]}"'] if mount.get("subPath") else []
        yield f"      {mount['mountPath']} from {mount['name']} ({','.join(flags)})"


def _truth(value: object) -> str:
    return "true" if value else "false"
