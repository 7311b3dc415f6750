"""ContainerSpec and PodNetwork of a container (kubelet: generateContainerConfig), its environment, and the downward
API.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from kubeedge_actors.actors.edged.pod.pod_spec import ContainerView, PodView
from kubeedge_actors.actors.edged.runtime import security_context as security
from kubeedge_actors.actors.edged.runtime.pod_config_references import SERVICES, ConfigError, ConfigReference, Objects
from kubeedge_actors.drivers.containers.base import Container, ContainerSpec, Mount, Network, PodNetwork, Port, Resolver
from kubeedge_actors.kubernetes.objects import service_account_name
from kubeedge_actors.kubernetes.quantity import parse_quantity
from kubeedge_actors.kubernetes.service_environment import api_variables, service_variables
from kubeedge_actors.osutil.sockets import is_loopback
from kubeedge_actors.wire.constants import CONFIGMAP, SECRET

Json = dict[str, Any]
ANY_ADDRESS = ("0.0.0.0", "::")
PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
WRITTEN_BY_NODE = ("configMap", "secret", "downwardAPI", "projected")
"""Kinds of volumes that containers only read, as a kubelet mounts them."""


def network_mode(pod: PodView) -> Network:
    """The network of the pod: host, own (its one container's), or pod (a sandbox, whose network several containers share, or whose processes)."""
    if pod.host_network:
        return "pod" if shares_processes(pod) else "host"
    shared = (
        shares_processes(pod)
        or len(pod.app_containers) + sum(view.kind == "sidecar" for view in pod.init_containers) > 1
    )
    return "pod" if shared or uses_pod_address(pod) else "own"


def shares_processes(pod: PodView) -> bool:
    """Whether the containers are in one process namespace, which is that of the sandbox."""
    return bool(pod.spec.get("shareProcessNamespace")) and not pod.spec.get("hostPID")


def pod_network(pod: PodView) -> PodNetwork:
    """The PodNetwork that the pod's containers share, with all their ports."""
    ports = tuple(port for view in pod.containers for port in _ports(view.raw))
    return PodNetwork(
        pod=pod.name,
        hostname=_hostname(pod),
        ports=ports,
        host=pod.host_network,
        hosts=_hosts(pod),
        resolver=_resolver(pod),
        sysctls=security.sysctls(pod),
    )


def _resolver(pod: PodView) -> Resolver:
    config: Json = pod.spec.get("dnsConfig") or {}
    options = config.get("options") or ()
    return Resolver(
        servers=tuple(map(str, config.get("nameservers") or ())),
        searches=tuple(map(str, config.get("searches") or ())),
        options=tuple(f"{each['name']}:{each['value']}" if each.get("value") else each["name"] for each in options),
        replaces=pod.spec.get("dnsPolicy") == "None",
    )


def _hostname(pod: PodView) -> str:
    return str(pod.spec.get("hostname") or pod.name.name)[:63]


def _ports(container: Json) -> tuple[Port, ...]:
    return tuple(
        Port(
            container=int(port["containerPort"]),
            host=int(port.get("hostPort") or 0),
            protocol=str(port.get("protocol") or "TCP").lower(),
            address=str(port.get("hostIP") or ""),
        )
        for port in container.get("ports") or ()
    )


def container_spec(
    pod: PodView,
    view: ContainerView,
    restart_count: int,
    env: dict[str, str],
    paths: Mapping[str, str],
    image_user: Callable[[], str] = str,
) -> ContainerSpec:
    """The ContainerSpec of one container. `paths`: volume name -> its path; `image_user`: as whom its image runs.

    Errors: ConfigError, fit for CreateContainerConfigError.
    """
    raw, resources = view.raw, view.raw.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    plain = ContainerSpec(
        pod=pod.name,
        name=view.name,
        image=view.image,
        hash=view.hash,
        restart_count=restart_count,
        command=tuple(expand_variables(str(word), env) for word in raw.get("command") or ()),
        args=tuple(expand_variables(str(word), env) for word in raw.get("args") or ()),
        env=env,
        working_dir=str(raw.get("workingDir") or ""),
        hostname=_hostname(pod),
        mounts=tuple(_mount(pod, mount, paths, env) for mount in raw.get("volumeMounts") or ()),
        ports=_ports(raw),
        network=network_mode(pod),
        memory=int(_limit(limits, "memory")),
        cpu=_limit(limits, "cpu"),
        cpu_request=_limit(requests, "cpu"),
        stdin=bool(raw.get("stdin")),
        stdin_once=bool(raw.get("stdinOnce")),
        tty=bool(raw.get("tty")),
        stop_signal=str((raw.get("lifecycle") or {}).get("stopSignal") or ""),
        hosts=_hosts(pod),
        resolver=_resolver(pod),
    )
    return _with_privileges(plain, pod, view, image_user)


def _with_privileges(
    spec: ContainerSpec, pod: PodView, view: ContainerView, image_user: Callable[[], str]
) -> ContainerSpec:
    context = security.effective_context(pod, view)
    capabilities = context.get("capabilities") or {}
    return msgspec.structs.replace(
        spec,
        privileged=bool(context.get("privileged")),
        capabilities_added=tuple(capabilities.get("add") or ()),
        capabilities_dropped=tuple(capabilities.get("drop") or ()),
        user=security.user(pod, view, context, image_user),
        groups=security.groups(pod),
        read_only_root=bool(context.get("readOnlyRootFilesystem")),
        no_new_privileges=context.get("allowPrivilegeEscalation") is False,
        host_pids=bool(pod.spec.get("hostPID")),
        host_ipc=bool(pod.spec.get("hostIPC")),
        shares_pids=shares_processes(pod),
        seccomp=security.profile(context, "seccompProfile"),
        apparmor=security.profile(context, "appArmorProfile"),
        selinux=security.selinux(context),
        sysctls=security.sysctls(pod),
    )


def in_running_pod(spec: ContainerSpec, view: ContainerView, containers: Sequence[Container]) -> ContainerSpec:
    """The same for an ephemeral container: in the network of a container that runs, and in the process namespace of its target.

    Errors: ConfigError when that does not run.
    """
    if view.kind != "ephemeral":
        return spec
    running = {container.name: container.id for container in containers if container.phase == "running"}
    target = str(view.raw.get("targetContainerName") or "")
    if target and target not in running:
        raise ConfigError(f"target container {target} does not run")
    beside = running.get(target) or next(iter(running.values()), "")
    alone = spec.network == "own"
    network: Network = "pod" if alone else spec.network
    spec = msgspec.structs.replace(spec, network=network, beside=beside if alone else "")
    return msgspec.structs.replace(spec, pids_of=running.get(target, ""))


def _hosts(pod: PodView) -> tuple[tuple[str, str], ...]:
    aliases = pod.spec.get("hostAliases") or ()
    return tuple((str(name), str(alias["ip"])) for alias in aliases for name in alias.get("hostnames") or ())


def _limit(limits: Json, name: str) -> float:
    try:
        return parse_quantity(limits[name]) if name in limits else 0.0
    except ValueError as error:
        raise ConfigError(f"the limit of {name} is wrong: {error}") from error


def _mount(pod: PodView, mount: Json, paths: Mapping[str, str], env: Mapping[str, str]) -> Mount:
    name = mount["name"]
    if name not in paths:
        raise ConfigError(f'the pod has no volume "{name}"')
    inside = expand_variables(mount["subPathExpr"], env) if mount.get("subPathExpr") else mount.get("subPath") or ""
    return Mount(
        name=name,
        source=paths[name],
        target=mount["mountPath"],
        read_only=bool(mount.get("readOnly")) or _is_only_read(pod, name),
        subpath=inside,
        propagation=PROPAGATION.get(mount.get("mountPropagation") or "", "rprivate"),
    )


def _is_only_read(pod: PodView, volume: str) -> bool:
    """Whether the claim is for reading, or the node keeps files in this volume: a container that may write there could lead our
    writing elsewhere by a link (CVE-2017-1002102).
    """
    described: Json = next((each for each in pod.spec.get("volumes") or () if each.get("name") == volume), {})
    claim: Json = described.get("persistentVolumeClaim") or {}
    return bool(claim.get("readOnly")) or any(described.get(kind) for kind in WRITTEN_BY_NODE)


# --- environment variables --------------------------------------------------------------------------------------------
#
# Plain values, references, `$(VAR)` (source: kubelet makeEnvironmentVariables).


_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


def expand_variables(text: str, env: Mapping[str, str]) -> str:
    """The text with `$(VAR)` replaced where VAR is known; `$$` is a dollar sign.

    >>> expand_variables("$(A)-$(B)-$$(A)", {"A": "1"})
    '1-$(B)-$(A)'
    """
    return _REFERENCE.sub(lambda match: "$" if match[0] == "$$" else env.get(match[1], match[0]), text)


def string_data(object: Json, type: str) -> dict[str, str]:
    """The values of a config map or secret as text."""
    plain = {key: str(value) for key, value in (object.get("data") or {}).items()}
    if type == SECRET:
        return {key: _decoded(value).decode("utf-8", "surrogateescape") for key, value in plain.items()}
    return plain


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError as error:
        raise ConfigError(f"a secret's value is not base64: {error}") from error


def binary_data(object: Json, type: str) -> dict[str, bytes]:
    """The values of a config map or secret as bytes."""
    if type == SECRET:
        return {key: _decoded(str(value)) for key, value in (object.get("data") or {}).items()}
    plain = {key: str(value).encode() for key, value in (object.get("data") or {}).items()}
    return plain | {key: _decoded(str(value)) for key, value in (object.get("binaryData") or {}).items()}


def environment(pod: PodView, view: ContainerView, objects: Objects, node: NodeContext) -> dict[str, str]:
    """All variables of a container. Errors: ConfigError, as CreateContainerConfigError says it."""
    env = _service_variables(pod, objects)
    if node.api is not None:
        env |= api_variables(*node.api)
    for source in view.raw.get("envFrom") or ():
        prefix = source.get("prefix") or ""
        for type, key in ((CONFIGMAP, "configMapRef"), (SECRET, "secretRef")):
            if source.get(key):
                object = _object(objects, type, source[key])
                env |= {f"{prefix}{name}": value for name, value in string_data(object, type).items()}
    for variable in view.raw.get("env") or ():
        value = _value(pod, view, variable, objects, node, env)
        if value is not None:
            env[str(variable["name"])] = value
    return env


def _service_variables(pod: PodView, objects: Objects) -> dict[str, str]:
    services = (objects.get(SERVICES) or {}).get("items") or ()
    return service_variables(pod.name.namespace, services, links=pod.spec.get("enableServiceLinks") is not False)


def _object(objects: Objects, type: str, reference: Json) -> Json:
    object = objects.get(ConfigReference(type, reference["name"]))
    if object is None:
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{type} "{reference["name"]}" not found')
    return object


def _value(
    pod: PodView, view: ContainerView, variable: Json, objects: Objects, around: NodeContext, env: dict[str, str]
) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return expand_variables(str(variable.get("value") or ""), env)
    if source.get("fieldRef"):
        return field_ref_value(pod, source["fieldRef"].get("fieldPath", ""), around)
    if source.get("resourceFieldRef"):
        return resource_field_ref_value(pod, view.name, source["resourceFieldRef"], around)
    for type, key, kind in ((CONFIGMAP, "configMapKeyRef", "ConfigMap"), (SECRET, "secretKeyRef", "Secret")):
        if source.get(key):
            return _of_key(pod, type, kind, source[key], objects)
    raise ConfigError(f"the source of the variable {variable.get('name')} is not supported")


def _of_key(pod: PodView, type: str, kind: str, reference: Json, objects: Objects) -> str | None:
    values = string_data(_object(objects, type, reference), type)
    key = reference.get("key", "")
    if key in values:
        return values[key]
    if reference.get("optional"):
        return None
    raise ConfigError(f"couldn't find key {key} in {kind} {pod.name.namespace}/{reference['name']}")


# --- downward API: fieldRef and resourceFieldRef ----------------------------------------------------------------------
#
# Source: kubelet fieldpath and resource helpers.


_ONE_OF = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class NodeContext(msgspec.Struct, frozen=True):
    """The node of the pod. `cpus` cores and `memory` bytes are what a container without limits may use; `api`: address and port
    of the node's own API, if it serves one that the pod can reach.
    """

    node_name: str
    host_ip: str
    pod_ip: str = ""
    cpus: int = 1
    memory: int = 0
    api: tuple[str, int] | None = None


def for_pod(node: NodeContext, pod: PodView, pod_ip: str, *, own_network: bool) -> NodeContext:
    """The node as this pod sees it. `own_network`: the runtime gives pods one, in which the machine's loopback is not theirs."""
    api = node.api
    if api is not None and api[0] in ANY_ADDRESS:
        api = (node.host_ip, api[1])
    reachable = api is not None and (not own_network or pod.host_network or not is_loopback(api[0]))
    return msgspec.structs.replace(node, pod_ip=pod_ip or node.host_ip, api=api if reachable else None)


def field_ref_value(pod: PodView, path: str, node: NodeContext) -> str:
    """The value of a fieldRef. Errors: ConfigError when there is no such field."""
    match = _ONE_OF.fullmatch(path)
    if match:
        return str((pod.metadata.get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = (pod.metadata.get(path.partition(".")[2]) or {}).items()
        return "\n".join(f"{key}={msgspec.json.encode(value).decode()}" for key, value in sorted(pairs))
    values = {
        "metadata.name": pod.name.name,
        "metadata.namespace": pod.name.namespace,
        "metadata.uid": pod.name.uid,
        "spec.nodeName": node.node_name,
        "spec.serviceAccountName": service_account_name(pod.spec),
        "status.hostIP": node.host_ip,
        "status.hostIPs": node.host_ip,
        "status.podIP": node.pod_ip,
        "status.podIPs": node.pod_ip,
    }
    if path not in values:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return values[path]


def resource_field_ref_value(pod: PodView, container: str, reference: Json, node: NodeContext) -> str:
    """The value of a resourceFieldRef, in units of its divisor, rounded up. Errors: ConfigError."""
    view = pod.container(reference.get("containerName") or container)
    kind, _, name = str(reference.get("resource", "")).partition(".")
    if view is None or kind not in ("limits", "requests") or not name:
        raise ConfigError(f"unsupported container resource: {reference.get('resource')}")
    resources = view.raw.get("resources") or {}
    capacity = {"cpu": node.cpus, "memory": node.memory}
    quantity = (resources.get(kind) or {}).get(name, capacity.get(name, 0) if kind == "limits" else 0)
    try:
        divisor = parse_quantity(reference.get("divisor") or 1) or 1.0
        return str(math.ceil(parse_quantity(quantity) / divisor - 1e-9))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def uses_pod_address(pod: PodView) -> bool:
    """Whether a container's environment needs the pod's address."""
    refs = (variable.get("valueFrom") or {} for view in pod.containers for variable in view.raw.get("env") or ())
    return any((ref.get("fieldRef") or {}).get("fieldPath", "").startswith("status.podIP") for ref in refs)
