"""Users and groups of a container, in a kubelet's words where it may not run so (source: kubelet kuberuntime
security_context.go, verifyRunAsNonRoot).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kubeedge_actors.actors.edged.pod.pod_spec import ContainerView, PodView
from kubeedge_actors.actors.edged.runtime.pod_config_references import ConfigError

Json = dict[str, Any]
MAX_ID: Final = 2**31 - 1
SAFE_SYSCTLS = frozenset(
    {"kernel.shm_rmid_forced"}
    | {f"net.ipv4.ip_{name}" for name in ("local_port_range", "unprivileged_port_start", "local_reserved_ports")}
    | {f"net.ipv4.tcp_{name}" for name in ("syncookies", "keepalive_time", "keepalive_intvl", "keepalive_probes")}
    | {f"net.ipv4.{name}" for name in ("ping_group_range", "tcp_fin_timeout", "tcp_rmem", "tcp_wmem")}
)
"""Those that a kubelet allows without being told to (source: kubelet sysctl/safe_sysctls.go)."""
INHERITED = ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile", "appArmorProfile", "seLinuxOptions")


def effective_context(pod: PodView, view: ContainerView) -> Json:
    """The container's v1.SecurityContext, with what it inherits of the pod's."""
    inherited = {key: value for key, value in pod_context(pod).items() if key in INHERITED}
    own: Json = view.raw.get("securityContext") or {}
    return inherited | {key: value for key, value in own.items() if value is not None}


def pod_context(pod: PodView) -> Json:
    """The pod's v1.PodSecurityContext."""
    return pod.spec.get("securityContext") or {}


def user(pod: PodView, view: ContainerView, context: Json, image_user: Callable[[], str]) -> str:
    """As "uid" or "uid:gid"; empty for that of the image, which is asked for only where it matters.

    Errors: ConfigError for an impossible user, and for one that is or may be root where root is forbidden.
    """
    uid, gid = _id(context, "runAsUser"), _id(context, "runAsGroup")
    of_image = ""
    if uid is None and (gid is not None or context.get("runAsNonRoot")):
        of_image = image_user().partition(":")[0] or "0"
    if context.get("runAsNonRoot"):
        _check_non_root(pod, view, uid, of_image)
    if gid is not None:
        return f"{of_image if uid is None else uid}:{gid}"
    return "" if uid is None else str(uid)


def groups(pod: PodView) -> tuple[int, ...]:
    """The gids that the pod's containers have besides. Errors: ConfigError for impossible ones."""
    context = pod_context(pod)
    wanted = [*(context.get("supplementalGroups") or ()), context.get("fsGroup")]
    return tuple(dict.fromkeys(_checked("supplementalGroups", group) for group in wanted if group is not None))


def profile(context: Json, field: str) -> str:
    """The seccompProfile or appArmorProfile as a ContainerSpec has it."""
    profile = context.get(field) or {}
    kind = str(profile.get("type") or "")
    return f"Localhost/{profile.get('localhostProfile') or ''}" if kind == "Localhost" else kind


def selinux(context: Json) -> tuple[str, ...]:
    """The SELinux labels as a ContainerSpec has them."""
    options: Json = context.get("seLinuxOptions") or {}
    return tuple(f"{key}:{options[key]}" for key in ("user", "role", "type", "level") if options.get(key))


def sysctls(pod: PodView) -> tuple[tuple[str, str], ...]:
    """The kernel parameters of the pod. Errors: ConfigError for one that is not of the pod alone, as a kubelet's SysctlForbidden."""
    wanted = [(str(each["name"]), str(each["value"])) for each in pod_context(pod).get("sysctls") or ()]
    for name, _ in wanted:
        if name.replace("/", ".") not in SAFE_SYSCTLS or (pod.host_network and name.startswith("net")):
            raise ConfigError(f'forbidden sysctl: "{name}" not allowlisted')
    return tuple((name.replace("/", "."), value) for name, value in wanted)


def _id(context: Json, field: str) -> int | None:
    return None if context.get(field) is None else _checked(field, context[field])


def _checked(field: str, id: Any) -> int:
    if not isinstance(id, int) or not 0 <= id <= MAX_ID:
        raise ConfigError(f"{field}: Invalid value: {id}: must be between 0 and {MAX_ID}, inclusive")
    return id


def _check_non_root(pod: PodView, view: ContainerView, uid: int | None, of_image: str) -> None:
    name = pod.name
    where = f'(pod: "{name.name}_{name.namespace}({name.uid})", container: {view.name})'
    if uid == 0:
        raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
    if uid is None and of_image.isdigit() and int(of_image) == 0:
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    if uid is None and not of_image.isdigit():
        text = f"image has non-numeric user ({of_image}), cannot verify user is non-root {where}"
        raise ConfigError(f"container has runAsNonRoot and {text}")
