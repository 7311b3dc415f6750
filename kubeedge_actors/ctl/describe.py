"""`describe`: a pod as kubectl describe prints it (kubectl 1.32, pkg/describe). Pure: objects in, text out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from kubeedge_actors.ctl.describe_container import container_lines
from kubeedge_actors.ctl.describe_volume import volume_lines
from kubeedge_actors.ctl.tables import age_of_event
from kubeedge_actors.ctl.tabwriter import align
from kubeedge_actors.kubernetes.durations import age
from kubeedge_actors.kubernetes.time import parse_time

Json = dict[str, Any]
MAX_ANNOTATION = 140
"""Characters of an annotation that stands in the line of its name."""
HIDDEN_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
ENDED = ("Succeeded", "Failed")


def describe_pod(pod: Json, events: Sequence[Json], now: float) -> str:
    """All that is known of a v1.Pod; `now` in epoch seconds."""
    lines = [*_head(pod, now), *_containers(pod), *_conditions(pod), *_rest(pod)]
    return align(lines) + "\n" + align(list(_events(events, now)))


def format_moment(text: str | None) -> str:
    """A time as kubectl writes it.

    >>> format_moment("2026-01-31T12:00:00Z")
    'Sat, 31 Jan 2026 12:00:00 +0000'
    """
    epoch = parse_time(text or "")
    moment = datetime.fromtimestamp(epoch, UTC).astimezone() if epoch is not None else datetime(1, 1, 1, tzinfo=UTC)
    return moment.strftime("%a, %d %b ") + f"{moment.year:04d}" + moment.strftime(" %H:%M:%S %z")


def _head(pod: Json, now: float) -> Iterator[str]:
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    yield f"Name:\t{meta['name']}"
    yield f"Namespace:\t{meta.get('namespace', '')}"
    if spec.get("priority") is not None:
        yield f"Priority:\t{spec['priority']}"
    for title, text in (
        ("Priority Class Name", spec.get("priorityClassName")),
        ("Runtime Class Name", spec.get("runtimeClassName")),
        ("Service Account", spec.get("serviceAccountName")),
    ):
        if text:
            yield f"{title}:\t{text}"
    yield f"Node:\t{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else "Node:\t<none>"
    if status.get("startTime"):
        yield f"Start Time:\t{format_moment(status['startTime'])}"
    yield from labelled("Labels", meta.get("labels"))
    yield from _annotations(meta.get("annotations") or {})
    yield from _state(meta, status, now)
    yield f"IP:\t{status.get('podIP', '')}"
    ips = [f"  IP:\t{each['ip']}" for each in status.get("podIPs") or ()]
    yield from ["IPs:", *ips] if ips else ["IPs:\t<none>"]
    yield from (
        f"Controlled By:\t{owner['kind']}/{owner['name']}"
        for owner in meta.get("ownerReferences") or ()
        if owner.get("controller")
    )


def _state(meta: Json, status: Json, now: float) -> Iterator[str]:
    if meta.get("deletionTimestamp") and status.get("phase") not in ENDED:
        yield f"Status:\tTerminating (lasts {age(meta['deletionTimestamp'], now)})"
        yield f"Termination Grace Period:\t{meta.get('deletionGracePeriodSeconds', 0)}s"
    else:
        yield f"Status:\t{status.get('phase', '')}"
    for title in ("Reason", "Message"):
        if status.get(title.lower()):
            yield f"{title}:\t{status[title.lower()]}"


def labelled(title: str, labels: Json | None) -> Iterator[str]:
    """Labels, a line each."""
    pairs = [f"{key}={value}" for key, value in sorted((labels or {}).items())] or ["<none>"]
    yield f"{title}:\t{pairs[0]}"
    yield from (f"\t{pair}" for pair in pairs[1:])


def _annotations(annotations: Json) -> Iterator[str]:
    lines: list[str] = []
    for key, value in sorted(annotations.items()):
        text = str(value).removesuffix("\n")
        if key == HIDDEN_ANNOTATION:
            continue
        if len(text) + len(key) + 2 > MAX_ANNOTATION or "\n" in text:
            shortened = (_shorten(line, MAX_ANNOTATION - 2) for line in text.split("\n"))
            lines += [f"{key}:", *(f"  {line}" for line in shortened)]
        else:
            lines.append(f"{key}: {text}")
    yield f"Annotations:\t{lines[0] if lines else '<none>'}"
    yield from (f"\t{line}" for line in lines[1:])


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _containers(pod: Json) -> Iterator[str]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    for title, field, statuses in (
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
        ("Ephemeral Containers", "ephemeralContainers", "ephemeralContainerStatuses"),
    ):
        if spec.get(field):
            yield f"{title}:"
            known = {each["name"]: each for each in status.get(statuses) or ()}
            for container in spec[field]:
                yield from container_lines(pod, container, known.get(container["name"]), format_moment)


def _conditions(pod: Json) -> Iterator[str]:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    gates = [gate["conditionType"] for gate in (pod.get("spec") or {}).get("readinessGates") or ()]
    known = {condition["type"]: condition["status"] for condition in conditions}
    if gates:
        yield from ["Readiness Gates:", "  Type\tStatus"]
        yield from (f"  {gate} \t{known.get(gate, '<none>')} " for gate in gates)
    if conditions:
        yield from ["Conditions:", "  Type\tStatus"]
        yield from (f"  {type} \t{value} " for type, value in known.items())


def _rest(pod: Json) -> Iterator[str]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    yield from volume_lines(spec.get("volumes") or ())
    yield f"QoS Class:\t{status.get('qosClass') or qos_class(spec)}"
    yield from labelled("Node-Selectors", spec.get("nodeSelector"))
    tolerations = [_toleration(each) for each in sorted(spec.get("tolerations") or (), key=_key)] or ["<none>"]
    yield f"Tolerations:\t{tolerations[0]}"
    yield from (f"\t{toleration}" for toleration in tolerations[1:])


def _key(toleration: Json) -> str:
    return str(toleration.get("key") or "")


def _toleration(toleration: Json) -> str:
    key, value, effect = (str(toleration.get(name) or "") for name in ("key", "value", "effect"))
    text = key + (f"={value}" if value else "") + (f":{effect}" if effect else "")
    if toleration.get("operator") == "Exists" and not value:
        text += " op=Exists" if text else "op=Exists"
    seconds = toleration.get("tolerationSeconds")
    return text if seconds is None else f"{text} for {seconds}s"


def qos_class(spec: Json) -> str:
    """The class by which pods are evicted: requests equal to limits, some, or none."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= (each.get("limits") or {}).keys()
        and all(each.get("requests", {}).get(name, limit) == limit for name, limit in each["limits"].items())
        for each in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _events(events: Sequence[Json], now: float) -> Iterator[str]:
    if not events:
        yield "Events:\t<none>"
        return
    yield from ["Events:", "  Type\tReason\tAge\tFrom\tMessage", "  ----\t------\t----\t----\t-------"]
    for event in sorted(events, key=lambda event: str(event.get("lastTimestamp") or "")):
        place = event["involvedObject"].get("fieldPath")
        message = str(event["message"]).strip()
        source = (event.get("source") or {}).get("component") or event.get("reportingComponent", "")
        text = f"{place}: {message}" if place else message
        yield f"  {event['type']}\t{event['reason']}\t{age_of_event(event, now)}\t{source}\t{text}"
