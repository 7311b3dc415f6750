"""Probes of containers: what is asked, when, and what thresholds make of the results (source: kubelet prober)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from kubeedge_actors.drivers.machine.base import HealthProbe

Json = dict[str, Any]
ProbeKind = Literal["startup", "liveness", "readiness"]


class ProbeState(msgspec.Struct, frozen=True):
    """State of one probe of one container. `passed` is None before it has been decided for the first time."""

    due: float
    streak: int = 0
    last: bool | None = None
    passed: bool | None = None

    def with_run_started(self, probe: Json, now: float) -> ProbeState:
        """The state while the probe runs; the next run is a period later."""
        return msgspec.structs.replace(self, due=now + period_seconds(probe))

    def with_result(self, probe: Json, ok: bool) -> ProbeState:
        """The state after a result, by the thresholds."""
        streak = self.streak + 1 if self.last is ok else 1
        threshold = int(probe.get("successThreshold") or 1) if ok else int(probe.get("failureThreshold") or 3)
        passed = ok if streak >= threshold else self.passed
        return msgspec.structs.replace(self, streak=streak, last=ok, passed=passed)


def initial_probe_state(probe: Json, started: float) -> ProbeState:
    """The probing of a container that started at `started`."""
    return ProbeState(due=started + float(probe.get("initialDelaySeconds") or 0))


def period_seconds(probe: Json) -> float:
    """Seconds between two runs."""
    return float(probe.get("periodSeconds") or 10)


def timeout_seconds(probe: Json) -> float:
    """Timeout of one run in seconds."""
    return float(probe.get("timeoutSeconds") or 1)


def health_probe(action: Json, ports: dict[str, int], address: str) -> HealthProbe:
    """The request of a v1.Probe or lifecycle handler. `ports`: the container's ports by name. Error: ValueError names what is not supported."""
    if "exec" in action:
        return HealthProbe(command=tuple(action["exec"].get("command") or ()))
    if "httpGet" in action:
        http = action["httpGet"]
        headers = tuple((header["name"], header["value"]) for header in http.get("httpHeaders") or ())
        return HealthProbe(
            host=http.get("host") or address,
            port=port_number(http.get("port"), ports),
            path=http.get("path") or "/",
            headers=headers,
            tls=(http.get("scheme") or "HTTP").upper() == "HTTPS",
            http=True,
        )
    if "tcpSocket" in action:
        tcp = action["tcpSocket"]
        return HealthProbe(host=tcp.get("host") or address, port=port_number(tcp.get("port"), ports))
    if "grpc" in action:
        grpc = action["grpc"]
        return HealthProbe(
            host=address, port=port_number(grpc.get("port"), {}), grpc=True, service=grpc.get("service") or ""
        )
    raise ValueError("this kind of probe or hook is not supported by this node")


def sleep_seconds(hook: Json | None) -> float:
    """How long a lifecycle handler sleeps; 0 for one that does something else."""
    return float(((hook or {}).get("sleep") or {}).get("seconds") or 0)


def port_number(port: object, ports: dict[str, int]) -> int:
    """A port by number or by name. ValueError when the container has no such port."""
    if isinstance(port, int) or str(port).isdigit():
        return int(str(port))
    if str(port) not in ports:
        raise ValueError(f"the container has no port called {port!r}")
    return ports[str(port)]


def ports_of(container: Json) -> dict[str, int]:
    """A container's named ports."""
    return {port["name"]: port["containerPort"] for port in container.get("ports") or () if port.get("name")}
