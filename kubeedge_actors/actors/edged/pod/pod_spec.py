"""A v1.Pod as the pod workers read it: identity, containers in start order, termination."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from kubeedge_actors.drivers.containers.base import PodName
from kubeedge_actors.kubernetes.names import is_dns_label, is_dns_subdomain, is_uid

Json = dict[str, Any]
ContainerKind = Literal["init", "sidecar", "main", "ephemeral"]

DEFAULT_GRACE, MIN_GRACE = 30.0, 2.0
TERMINAL = ("Succeeded", "Failed")
HASH_ANNOTATION = "kubernetes.io/config.hash"


class ContainerView(msgspec.Struct, frozen=True):
    """One container. An init container ends before the next begins, a sidecar runs before and beside the main ones, an ephemeral one was put
    into the pod while that ran, and runs once.
    """

    name: str
    kind: ContainerKind
    image: str
    hash: str
    policy: str
    raw: Json

    def probe(self, kind: str) -> Json | None:
        """The probe of that kind (startup, liveness, readiness); init containers have none."""
        return None if self.kind == "init" else self.raw.get(f"{kind}Probe")

    def hook(self, kind: str) -> Json | None:
        """The hook of that kind (postStart, preStop)."""
        hook: Json | None = (self.raw.get("lifecycle") or {}).get(kind)
        return hook


class PodView(msgspec.Struct, frozen=True):
    """One pod. `deleting`: the cluster wants it to end, within `grace` seconds; `active_deadline_seconds`: seconds it may run at all.

    `terminal`: the phase in which it ended, for good.
    """

    name: PodName
    raw: Json
    containers: tuple[ContainerView, ...]
    policy: str
    grace: float
    deleting: bool
    active_deadline_seconds: float | None
    host_network: bool
    terminal: str

    @property
    def spec(self) -> Json:
        """Its specification."""
        return self.raw.get("spec") or {}

    @property
    def metadata(self) -> Json:
        """Its metadata."""
        return self.raw.get("metadata") or {}

    @property
    def status(self) -> Json:
        """Its status as the cluster last said."""
        return self.raw.get("status") or {}

    @property
    def app_containers(self) -> tuple[ContainerView, ...]:
        """The containers whose ends decide how the pod ends."""
        return tuple(container for container in self.containers if container.kind == "main")

    @property
    def init_containers(self) -> tuple[ContainerView, ...]:
        """Init containers and sidecars, in start order."""
        return tuple(container for container in self.containers if container.kind in ("init", "sidecar"))

    @property
    def ephemeral_containers(self) -> tuple[ContainerView, ...]:
        """The containers of `kubectl debug`."""
        return tuple(container for container in self.containers if container.kind == "ephemeral")

    def container(self, name: str) -> ContainerView | None:
        """The container of that name."""
        return next((container for container in self.containers if container.name == name), None)


def parse_pod(pod: Json) -> PodView:
    """The view of a v1.Pod. Errors: KeyError, ValueError when it has no name or its numbers are malformed."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    policy = spec.get("restartPolicy") or "Always"
    inits = tuple(
        _container(container, policy, _init_kind(container)) for container in spec.get("initContainers") or ()
    )
    mains = tuple(_container(container, policy, "main") for container in spec.get("containers") or ())
    ephemeral = tuple(_container(each, policy, "ephemeral") for each in spec.get("ephemeralContainers") or ())
    phase = (pod.get("status") or {}).get("phase", "")
    active = spec.get("activeDeadlineSeconds")
    return PodView(
        name=PodName(
            namespace=metadata.get("namespace") or "default", name=metadata["name"], uid=metadata.get("uid") or ""
        ),
        raw=pod,
        containers=inits + mains + ephemeral,
        policy=policy,
        grace=_grace(metadata, spec),
        deleting=bool(metadata.get("deletionTimestamp")),
        active_deadline_seconds=None if active is None else float(active),
        host_network=bool(spec.get("hostNetwork")),
        terminal=phase if phase in TERMINAL else "",
    )


def check_names(pod: PodView) -> None:
    """Errors: ValueError for names that an API server lets no pod have; no driver would take them."""
    volumes = [str(volume.get("name")) for volume in pod.spec.get("volumes") or ()]
    labels = [pod.name.namespace, *(view.name for view in pod.containers), *volumes]
    wrong = [name for name in labels if not is_dns_label(name)]
    wrong += [] if is_dns_subdomain(pod.name.name) else [pod.name.name]
    wrong += [] if is_uid(pod.name.uid) else [pod.name.uid]
    if wrong:
        raise ValueError(f"{wrong[0][:300]!r} can not be a name of it or in it")


def _grace(metadata: Json, spec: Json) -> float:
    seconds = metadata.get("deletionGracePeriodSeconds") if metadata.get("deletionTimestamp") else None
    if seconds is None:
        seconds = spec.get("terminationGracePeriodSeconds")
    return max(float(DEFAULT_GRACE if seconds is None else seconds), MIN_GRACE)


def _init_kind(raw: Json) -> ContainerKind:
    return "sidecar" if raw.get("restartPolicy") == "Always" else "init"


def _container(raw: Json, policy: str, kind: ContainerKind) -> ContainerView:
    policies = {"main": policy, "sidecar": "Always", "init": "Never" if policy == "Never" else "OnFailure"}
    policies["ephemeral"] = "Never"
    own = raw.get("restartPolicy") if kind != "sidecar" else None
    image = str(raw.get("image") or "")
    # only the image of a container may change in a pod, so name and image tell its versions apart (source: kubelet
    # HashContainer)
    version = hashlib.sha256(f"{raw['name']}\0{image}".encode()).hexdigest()[:8]
    return ContainerView(str(raw["name"]), kind, image, version, str(own or policies[kind]), raw)
