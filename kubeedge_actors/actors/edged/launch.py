"""A container of a pod as a driver wants it described: ContainerSpec and PodNetwork."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubeedge_actors.actors.edged.downward import uses_pod_address
from kubeedge_actors.actors.edged.environment import expanded
from kubeedge_actors.actors.edged.podspec import ContainerView, PodView
from kubeedge_actors.actors.edged.references import Missing
from kubeedge_actors.drivers.containers.base import ContainerSpec, Mount, Network, PodNetwork, Port
from kubeedge_actors.kubernetes.quantity import parse_quantity

Json = dict[str, Any]
Within = Callable[[str, str], str]

UNSUPPORTED = (
    "dnsConfig",
    "ephemeralContainers",
    "hostUsers",
    "resourceClaims",
    "runtimeClassName",
    "shareProcessNamespace",
)
UNSUPPORTED_CONTAINER = ("stdin", "tty", "volumeDevices", "resizePolicy")


def network(pod: PodView) -> Network:
    """A pod of one container needs no network of its own beside the container's."""
    if pod.host_network:
        return "host"
    shared = len(pod.mains) + sum(view.kind == "sidecar" for view in pod.inits) > 1
    return "pod" if shared or uses_pod_address(pod) else "own"


def pod_network(pod: PodView) -> PodNetwork:
    """The network that the pod's containers share, with all their ports."""
    ports = tuple(port for view in pod.containers for port in _ports(view.raw))
    return PodNetwork(pod=pod.name, hostname=_hostname(pod), ports=ports)


def _hostname(pod: PodView) -> str:
    return str(pod.spec.get("hostname") or pod.name.name)[:63]


def _ports(container: Json) -> tuple[Port, ...]:
    return tuple(
        Port(
            container=int(each["containerPort"]),
            host=int(each.get("hostPort") or 0),
            protocol=str(each.get("protocol") or "TCP").lower(),
            address=str(each.get("hostIP") or ""),
        )
        for each in container.get("ports") or ()
    )


def container_spec(
    pod: PodView, view: ContainerView, restart_count: int, env: dict[str, str], paths: Mapping[str, str], within: Within
) -> ContainerSpec:
    """The description of one container. `paths`: volume name -> its path; `within`: makes a path inside a volume.

    Errors: Missing, fit for CreateContainerConfigError.
    """
    raw, limits = view.raw, (view.raw.get("resources") or {}).get("limits") or {}
    context = _context(pod, view)
    capabilities = context.get("capabilities") or {}
    return ContainerSpec(
        pod=pod.name,
        name=view.name,
        image=view.image,
        hash=view.hash,
        restart_count=restart_count,
        command=tuple(expanded(str(each), env) for each in raw.get("command") or ()),
        args=tuple(expanded(str(each), env) for each in raw.get("args") or ()),
        env=env,
        working_dir=str(raw.get("workingDir") or ""),
        hostname=_hostname(pod),
        mounts=tuple(_mount(each, paths, env, within) for each in raw.get("volumeMounts") or ()),
        ports=_ports(raw),
        network=network(pod),
        memory=int(_limit(limits, "memory")),
        cpu=_limit(limits, "cpu"),
        privileged=bool(context.get("privileged")),
        capabilities_added=tuple(capabilities.get("add") or ()),
        capabilities_dropped=tuple(capabilities.get("drop") or ()),
        user=_user(view, context),
        read_only_root=bool(context.get("readOnlyRootFilesystem")),
        no_new_privileges=context.get("allowPrivilegeEscalation") is False,
        host_pids=bool(pod.spec.get("hostPID")),
        hosts=tuple(
            (str(name), str(each["ip"]))
            for each in pod.spec.get("hostAliases") or ()
            for name in each.get("hostnames") or ()
        ),
    )


def _context(pod: PodView, view: ContainerView) -> Json:
    inherited = {
        key: value for key, value in (pod.spec.get("securityContext") or {}).items() if key.startswith("runAs")
    }
    return inherited | {
        key: value for key, value in (view.raw.get("securityContext") or {}).items() if value is not None
    }


def _user(view: ContainerView, context: Json) -> str:
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    if context.get("runAsNonRoot") and user == 0:
        raise Missing(f'container\'s runAsUser breaks non-root policy (container: "{view.name}")')
    if user is None:
        return ""
    return str(user) if group is None else f"{user}:{group}"


def _limit(limits: Json, name: str) -> float:
    try:
        return parse_quantity(limits[name]) if name in limits else 0.0
    except ValueError as error:
        raise Missing(f"the limit of {name} is wrong: {error}") from error


def _mount(mount: Json, paths: Mapping[str, str], env: Mapping[str, str], within: Within) -> Mount:
    name = mount["name"]
    if name not in paths:
        raise Missing(f'the pod has no volume "{name}"')
    inside = expanded(mount["subPathExpr"], env) if mount.get("subPathExpr") else mount.get("subPath") or ""
    return Mount(
        name=name,
        source=within(paths[name], inside) if inside else paths[name],
        target=mount["mountPath"],
        read_only=bool(mount.get("readOnly")),
    )


def ignored(pod: PodView) -> list[str]:
    """Fields of the pod that have no effect on this node: an operator ought to know."""
    found = [f"spec.{key}" for key in UNSUPPORTED if pod.spec.get(key)]
    return found + [
        f"{view.name}.{key}" for view in pod.containers for key in UNSUPPORTED_CONTAINER if view.raw.get(key)
    ]
