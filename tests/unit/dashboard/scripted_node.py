"""A node and a cloud that answer the same at every question: what the pictures of the documentation show."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from typing import Any

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.errors import KubeEdgeActorsError

NOW = 1_796_050_800.0
"""2026-11-30 15:00:00 UTC, the only moment there is."""
Json = dict[str, Any]


def actor(name: str, rate: float = 0.0, p99: float = 0.0, **more: object) -> Json:
    """One actor, as `tree` has it."""
    figures = {
        "depth": 0,
        "capacity": 1000,
        "oldest": 0.0,
        "handled": int(rate * 900),
        "rate": rate,
        "p50": p99 / 3,
        "p99": p99,
    }
    return {"kind": "actor", "name": name, "state": "running", "restarts": 0, "last_error": "", **figures, **more}


def supervisor(name: str, *children: Json) -> Json:
    """One supervisor, as `tree` has it."""
    return {
        "kind": "supervisor",
        "name": name,
        "strategy": "OneForOne",
        "state": "running",
        "restarts": 0,
        "children": list(children),
    }


ACTORS = [
    actor("edgestream"),
    actor("metamanager", 1.2, 0.0041),
    actor("devicetwin", 41.0, 0.0013),
    actor("servicebus"),
    actor("eventbus", 84.5, 0.0002),
    actor("edged", 3.0, 0.021),
    actor("edgehub", 12.4, 0.0033),
]
ALARM = actor("alarm", 41.0, 0.0001, restarts=2, last_error="ValueError: could not convert string to float: 'warm'")
PRESS = actor("press", 0.0, 0.0, depth=318, oldest=47.0, busy=48.0)
HUNG = {"state": "hung", "age": 48.0, "reason": "the handler of Stroke does not come back", "well": False}
TRAFFIC = {
    "up": {
        "twin/edge_updated": {"messages": 9_214, "bytes": 4_100_000},
        "edged/podpatch": {"messages": 12, "bytes": 15_200},
    },
    "down": {
        "devicecontroller/device": {"messages": 31, "bytes": 24_000},
        "edgecontroller/pod": {"messages": 2, "bytes": 3_600},
    },
}
LINK = {"state": "connected", "since": NOW - 7_260, "attempts": 3, "reason": "", "url": "wss://cloud:10000"}
TREE = {
    "tree": supervisor("edge", *ACTORS, supervisor("modules", ALARM, PRESS)),
    "health": {each["name"]: {"state": "ok", "age": 0.0, "reason": "", "well": True} for each in [*ACTORS, ALARM]} | {"press": HUNG},
    "dead_letters": 2,
    "dead_letters_kept": 2,
    "process": {"side": "edge", "name": "edge-1", "version": "0.1.0", "pid": 4711, "rss": 52_000_000, "cpu": 81.0},
    "link": LINK,
    "traffic": TRAFFIC,
    "databases": {},
}  # fmt: skip
HISTORY = {
    "step": 5.0,
    "end": NOW,
    "actors": {
        each["name"]: {kind: [each[kind] * share for share in (0.5, 0.6, 0.9, 1.1, 0.8, 0.7, 0.9, 1.0)] for kind in ("rate", "depth", "p99")}
        for each in [*ACTORS, ALARM, PRESS]
    },
    "process": {},
}  # fmt: skip


def container(name: str, restarts: int, state: Json, last: Json) -> Json:
    """The status of a container, as Kubernetes has it."""
    return {"name": name, "ready": "running" in state, "restartCount": restarts, "state": state, "lastState": last}


def pod(name: str, created: str, *containers: Json, phase: str = "Running") -> Json:
    """A pod, as Kubernetes has it."""
    spec = {"containers": [{"name": each["name"]} for each in containers]}
    status = {"phase": phase, "podIP": "10.244.0.7", "containerStatuses": list(containers)}
    return {
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": created},
        "spec": spec,
        "status": status,
    }


RUNNING: Json = {"running": {"startedAt": "2026-11-30T12:59:00Z"}}
CRASHED = {"terminated": {"exitCode": 1, "reason": "Error"}}
PODS = [
    pod("mapper-0", "2026-11-30T12:59:00Z", container("mapper", 0, RUNNING, {})),
    pod("web-7d4b9", "2026-11-29T15:00:00Z", container("web", 3, RUNNING, CRASHED), container("proxy", 0, RUNNING, {})),
    pod("trainer", "2026-11-30T14:52:00Z", container("job", 5, {"waiting": {"reason": "CrashLoopBackOff"}}, CRASHED)),
]


def twin(name: str, actual: str, expected: str | None, *history: float) -> Json:
    """The twin of a property."""
    values = [[NOW - 60 + 5 * at, str(value)] for at, value in enumerate(history)]
    known = {
        "actual": actual,
        "actual_at": NOW - 4,
        "expected": expected,
        "expected_at": NOW - 900 if expected else None,
    }
    return {"property": name, **known, "delta": expected not in (None, actual), "history": values}


DEVICES = [
    {
        "name": "oven-7", "namespace": "default", "state": "online", "last_online": NOW - 4,
        "twins": [twin("temperature", "84.5", "90", 71, 73, 76, 78, 80, 81, 83, 84, 84.5), twin("door", "closed", "closed"), twin("fan", "on", None)],
    },
    {"name": "t1", "namespace": "default", "state": "online", "last_online": NOW - 4, "twins": [twin("temperature", "21", None, 20, 21, 22, 21, 20, 21)]},
]  # fmt: skip
LETTERS = [
    {
        "id": number, "at": NOW - 3_600 / number, "recipient": recipient, "type": message, "reason": reason, "sender": sender, "payload": payload,
        "replayed": None, "error": None,
    }
    for number, recipient, message, reason, sender, payload in (
        (1, "press", "Stroke", "the mailbox is full", "alarm", "Stroke(force=3)"),
        (2, "alarm", "TwinUpdated", "its handler crashed too often (ValueError)", "devicetwin", "t1 temperature=warm"),
    )
]  # fmt: skip
OUTBOX = {
    **LINK, "looked_at": NOW, "waiting": 3, "bytes": 2_900, "oldest": 1.4, "traffic": TRAFFIC,
    "lanes": [{"lane": "twins", "kind": "twin/edge_updated", "waiting": 3, "bytes": 2_900, "oldest": 1.4}],
}  # fmt: skip
STORES = [
    {
        "name": name, "bytes": size, "wal_bytes": size // 4, "commits": commits, "commit_rate": commits / 7_200, "commit_p50": 0.0014,
        "commit_p99": 0.019, "checkpoint_at": NOW - 95,
    }
    for name, size, commits in (("deadletters.db", 16_384, 2), ("edge.db", 4_210_688, 18_412), ("mqtt.db", 90_112, 611))
]  # fmt: skip
NODES = [
    {
        "name": name, "state": state, "since": NOW - since, "attempts": attempts, "up": up, "down": up // 30, "backlog": backlog,
        "version": "v1.32.10", "kind": kind, "address": f"10.0.0.{at}:40112", "ready": ready, "reason": reason,
    }
    for at, (name, state, since, attempts, up, backlog, kind, ready, reason) in enumerate(
        (
            ("edge-1", "connected", 7_260, 3, 4_115_000, 0, "native", "True", ""),
            ("edge-2", "connected", 86_400, 1, 61_000_000, 12, "genuine", "True", ""),
            ("edge-3", "disconnected", 312, 9, 870_000, 41, "native", "Unknown", "it was silent for 40 s"),
        ),
        11,
    )
]  # fmt: skip
EDGE: Json = {
    "tree": TREE,
    "figures": {},
    "history": HISTORY,
    "pods": PODS,
    "twins": DEVICES,
    "deadletters": LETTERS,
    "outbox": OUTBOX,
    "stores": STORES,
}
CLOUD: Json = {
    **EDGE,
    "tree": {
        **TREE,
        "tree": supervisor(
            "cloud",
            actor("cloudhub", 61.0, 0.004),
            actor("edgecontroller", 3.1, 0.011),
            actor("devicecontroller", 44.0, 0.009),
        ),
        "health": {},
        "process": {
            "side": "cloud",
            "name": "cloud-1",
            "version": "0.1.0",
            "pid": 4710,
            "rss": 96_000_000,
            "cpu": 412.0,
        },
        "link": {"state": "serving", "sessions": 2},
    },
    "nodes": NODES,
}


CLOSE_UP: Json = {
    **ALARM, "group": "user", "since": NOW - 7_200, "incarnation": 3, "version": "1", "supervisor": "modules", "suspension": "", "busy": 0.0,
    "mailbox": {
        "depth": 0, "capacity": 1000, "policy": "block", "published": "drop_oldest", "oldest": 0.0, "durable": False, "rejected": 0, "dropped": 12,
        "coalesced": 0, "blocked": 0, "forced": 0,
    },
    "messages": [{"type": "TwinUpdated", "count": 36_900, "p50": 0.00003, "p99": 0.0001, "sampled": True}],
    "from": [{"actor": "devicetwin", "type": "TwinUpdated", "rate": 41.0, "count": 36_900}, {"actor": "", "type": "Reload", "rate": 0.1, "count": 9}],
    "to": [{"actor": "eventbus", "type": "MqttPublish", "rate": 2.5, "count": 2_250}],
    "waits_for": None, "waited_for_by": [], "timers": [{"type": "Summary", "interval": 60.0, "due_in": 12.0}],
    "failures": [
        {
            "at": NOW - 95, "phase": "handle", "message": "TwinUpdated", "error": ALARM["last_error"],
            "traceback": 'Traceback (most recent call last):\n  File "alarm.py", line 27, in on_twin_updated\n    float(value)\n    ^^^^^^^^^^^^\n'
            + ALARM["last_error"],
        },
    ],
    "spec": {
        "factory": "Alarm", "restart": "permanent", "mailbox": {"capacity": 1000, "overflow": "block", "durable": False}, "max_deliveries": 3,
        "shutdown": 5.0, "accepts": ["TwinUpdated"], "emits": ["MqttPublish"],
    },
}  # fmt: skip
EVENTS = [
    {"event": name, "name": actor, "at": NOW - ago, "lost": 0, **more}
    for name, actor, ago, more in (
        ("Failed", "alarm", 95, {"error": ALARM["last_error"], "incarnation": 2}),
        ("Restarted", "alarm", 94, {"incarnation": 3}),
        ("DeadLettered", "alarm", 93, {"letter": {"type": "TwinUpdated", "reason": "its handler crashed too often"}}),
        ("Hung", "press", 47, {"reason": "the handler of Stroke does not come back"}),
        ("Overflowed", "press", 12, {"depth": 1000, "oldest": 36.0}),
    )
]
LOG = "".join(
    f"{at} the press says {'ERROR' if at % 10 == 0 else 'fine'} about {'a very long matter ' * 5}\n"
    for at in range(100)
)
EDGE |= {
    "actor": CLOSE_UP,
    "podevents": [{"involvedObject": {"name": "trainer"}, "type": "Warning", "reason": "BackOff", "message": "again"}],
}
STREAMS: Json = {
    "events": EVENTS,
    "podlogs": [
        {"data": base64.b64encode(LOG.encode()[at : at + 777]).decode()} for at in range(0, len(LOG.encode()), 777)
    ],
}
ORDERS = ("restart", "suspend", "resume", "crash")


class ScriptedStream:
    """Answers, then silence until it is over."""

    def __init__(self, answers: list[Json]) -> None:
        self._answers = answers

    def __enter__(self) -> ScriptedStream:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def answers_until(self, over: Callable[[], bool]) -> Iterator[Json]:
        """All of them."""
        yield from self._answers
        while not over():
            threading.Event().wait(0.01)


class ScriptedClient(ControlClient):
    """Answers by its path: `edge` or `cloud`."""

    orders: list[tuple[str, object]] = []

    def ask(self, command: str, /, **arguments: object) -> Any:
        """What is written above; an order is noted."""
        if command in ORDERS:
            self.orders.append((command, arguments.get("actor")))
            return arguments.get("actor")
        answers = CLOUD if self.path.name == "cloud" else EDGE
        if not answers.get(command):
            raise KubeEdgeActorsError(f"there is no command {command!r}")
        return answers[command]

    def stream(self, command: str, /, **arguments: object) -> Any:
        """What is written above."""
        return ScriptedStream(STREAMS.get(command, []))
