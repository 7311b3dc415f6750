"""What Prometheus reads from a running cloud or edge: its text format 0.0.4, made of what the control socket's `tree` answers.

`exposition` is pure. `MetricsServer` imports http.server when it starts, because most nodes never do.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from kubeedge_actors.errors import HttpError
from kubeedge_actors.osutil.sockets import error_text, is_loopback

if TYPE_CHECKING:
    import ssl

    from kubeedge_actors.drivers.http.listener import HttpListener
    from kubeedge_actors.osutil.connection_limits import ServerLimits

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "kubeedge_actors_"
QUANTILES = (("0.5", "p50"), ("0.99", "p99"))
Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]
"""What is put behind the name (`_count` ...), the labels, the value."""


class MetricFamily(NamedTuple):
    """One metric with all its samples."""

    name: str
    type: str
    help: str
    samples: Iterable[Sample]


def exposition(answer: Mapping[str, Any]) -> str:
    """The metrics of one answer to `tree`."""
    return "".join(_lines(family) for family in _families(answer))


def _families(answer: Mapping[str, Any]) -> Iterator[MetricFamily]:
    nodes = list(_nodes(answer.get("tree") or {}))
    actors = [node for node in nodes if node["kind"] == "actor"]
    yield from _mailboxes(actors)
    yield from _handling(actors)
    yield from _workers([actor for actor in actors if "rss" in actor])
    yield MetricFamily(
        "restarts",
        "gauge",
        "Restarts in the sliding window of the supervisor.",
        _samples(nodes, lambda node: node["restarts"]),
    )
    yield MetricFamily(
        "dead_letters_total", "counter", "Messages that nobody took.", [("", {}, answer["dead_letters"])]
    )
    yield from _link(answer.get("link") or {})
    yield from _traffic(answer.get("traffic") or {})
    sizes = [("", {"database": name}, size) for name, size in (answer.get("databases") or {}).items()]
    yield MetricFamily("database_size_bytes", "gauge", "Size of a database with its write-ahead log.", sizes)
    yield from _process(answer.get("process") or {})


def _mailboxes(actors: list[Mapping[str, Any]]) -> Iterator[MetricFamily]:
    yield MetricFamily(
        "actor_up",
        "gauge",
        "1 when the actor is running.",
        _samples(actors, lambda actor: float(actor["state"] == "running")),
    )
    yield MetricFamily("mailbox_depth", "gauge", "Messages queued.", _samples(actors, lambda actor: actor["depth"]))
    yield MetricFamily(
        "mailbox_capacity", "gauge", "Messages that fit in.", _samples(actors, lambda actor: actor["capacity"])
    )
    yield MetricFamily(
        "mailbox_oldest_seconds",
        "gauge",
        "Age of the first queued message.",
        _samples(actors, lambda actor: actor["oldest"]),
    )
    overflow = [
        ("", {"actor": actor["name"], "outcome": outcome}, count)
        for actor in actors
        for outcome, count in actor["mailbox"].items()
    ]
    yield MetricFamily("mailbox_overflow_total", "counter", "What became of messages to a full mailbox.", overflow)


def _handling(actors: list[Mapping[str, Any]]) -> Iterator[MetricFamily]:
    yield MetricFamily(
        "messages_total", "counter", "Messages handled.", _samples(actors, lambda actor: actor["handled"])
    )
    yield MetricFamily(
        "crashes_total", "counter", "Crashes of the actor.", _samples(actors, lambda actor: actor["crashes"])
    )
    yield MetricFamily(
        "actor_dead_letters_total",
        "counter",
        "Messages to the actor that ended.",
        _samples(actors, lambda actor: actor["dead_letters"]),
    )
    samples: list[Sample] = []
    for actor in actors:
        name = {"actor": actor["name"]}
        if actor["sampled"]:
            samples += [("", {**name, "quantile": share}, actor[key]) for share, key in QUANTILES]
        samples += [("_sum", name, actor["sampled_seconds"]), ("_count", name, actor["sampled"])]
    yield MetricFamily("handling_seconds", "summary", "Handling time of the turns that were timed (a sample).", samples)


def _workers(actors: list[Mapping[str, Any]]) -> Iterator[MetricFamily]:
    rss, cpu = _samples(actors, lambda actor: actor["rss"]), _samples(actors, lambda actor: actor["cpu"])
    yield MetricFamily("actor_resident_memory_bytes", "gauge", "Memory of the actor's own process.", rss)
    yield MetricFamily(
        "actor_cpu_seconds", "gauge", "Processor time of the actor's own process, since that began.", cpu
    )


def _link(link: Mapping[str, Any]) -> Iterator[MetricFamily]:
    if "attempts" in link:
        up = float(link["state"] == "connected")
        yield MetricFamily("link_up", "gauge", "1 when the node is connected to its cloud.", [("", {}, up)])
        yield MetricFamily("link_attempts_total", "counter", "Attempts to connect.", [("", {}, link["attempts"])])
    if "sessions" in link:
        yield MetricFamily("sessions", "gauge", "Nodes that are connected.", [("", {}, link["sessions"])])
    if "waiting" in link:
        yield MetricFamily(
            "unacknowledged", "gauge", "Messages that nodes have not acknowledged.", [("", {}, link["waiting"])]
        )
    outcomes = [("", {"outcome": outcome}, count) for outcome, count in (link.get("outcomes") or {}).items()]
    if outcomes:
        yield MetricFamily(
            "hub_outcomes_total", "counter", "What the cloud refused, dropped or closed, and why.", outcomes
        )


def _traffic(traffic: Mapping[str, Any]) -> Iterator[MetricFamily]:
    rows = [
        ({"direction": direction, "module": module, "kind": kind}, figures)
        for direction, subjects in traffic.items()
        for subject, figures in subjects.items()
        for module, _, kind in [subject.partition("/")]
    ]
    if rows:
        sizes = [("", labels, figures["bytes"]) for labels, figures in rows]
        yield MetricFamily("link_bytes_total", "counter", "Bytes of frames on the link.", sizes)
        counts = [("", labels, figures["messages"]) for labels, figures in rows]
        yield MetricFamily("link_messages_total", "counter", "Frames on the link.", counts)


def _process(process: Mapping[str, Any]) -> Iterator[MetricFamily]:
    if process:
        labels = {"side": str(process["side"]), "name": str(process["name"]), "version": str(process["version"])}
        yield MetricFamily("info", "gauge", "Who this is.", [("", labels, 1)])
        yield MetricFamily("resident_memory_bytes", "gauge", "Memory of the process.", [("", {}, process["rss"])])
        yield MetricFamily("cpu_seconds_total", "counter", "Processor time of the process.", [("", {}, process["cpu"])])


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if node:
        yield node
        for child in node.get("children", ()):
            yield from _nodes(child)


def _samples(nodes: Iterable[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], float]) -> list[Sample]:
    return [("", {node["kind"]: node["name"]}, value(node)) for node in nodes]


def _lines(family: MetricFamily) -> str:
    """HELP, TYPE and the samples; nothing without samples.

    >>> print(_lines(MetricFamily("a", "gauge", "Back\\\\slash.", [("", {"b": 'say "x"'}, 1.0)])), end="")
    # HELP kubeedge_actors_a Back\\\\slash.
    # TYPE kubeedge_actors_a gauge
    kubeedge_actors_a{b="say \\"x\\""} 1
    """
    name = PREFIX + family.name
    lines = [f"{name}{suffix}{_labels(labels)} {_number(value)}\n" for suffix, labels, value in family.samples]
    text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    return "".join([f"# HELP {name} {text}\n# TYPE {name} {family.type}\n", *lines]) if lines else ""


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _sent(header: str | None) -> bytes:
    return (header or "").encode("utf-8", "replace")


class MetricsServer:
    """Serves `exposition(look())` at http://host:port/metrics in a thread of its own.

    `context`: by TLS; `token`: to who shows it only (`Authorization: Bearer ...`), empty: to anybody.
    """

    def __init__(
        self,
        look: Callable[[], Mapping[str, Any]],
        limits: ServerLimits | None = None,
        context: ssl.SSLContext | None = None,
        token: str = "",
    ) -> None:
        self._look, self._limits, self._context = look, limits, context
        self._authorization = f"Bearer {token}".encode() if token else b""
        self._server: HttpListener | None = None

    def bind(self, host: str, port: int) -> int:
        """Take the port now, answer later (at `start`); the port (for `port` 0). HttpError when it can not be had."""
        from kubeedge_actors.drivers.http.listener import LIMITS, HttpListener
        from kubeedge_actors.drivers.http.request_handler import LimitedRequestHandler

        look, authorization = self._look, self._authorization

        class Handler(LimitedRequestHandler):
            def do_GET(self) -> None:
                self.close_if_body()
                if authorization and not hmac.compare_digest(authorization, _sent(self.headers.get("Authorization"))):
                    self.send_error(401, "the token of these metrics is needed: Authorization: Bearer ...")
                    return
                if self.path.partition("?")[0] != PATH:
                    self.send_error(404, f"there is only {PATH}")
                    return
                body = exposition(look()).encode()
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        try:
            self._server = HttpListener(
                host,
                port,
                Handler,
                limits=self._limits or LIMITS,
                names=() if is_loopback(host) else None,
                context=self._context,
            )
        except HttpError as error:
            reason = error_text(error.__cause__) if isinstance(error.__cause__, OSError) else str(error)
            raise HttpError(f"metrics can not be served on {host}:{port}: {reason}", port) from error.__cause__
        return self._server.port

    def start(self) -> None:
        """Answer, from `bind` on."""
        if self._server is not None:
            self._server.start("metrics")

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.close()
