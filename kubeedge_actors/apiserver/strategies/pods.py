"""Pods and pod templates: defaults, validation, and what may change afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from ...kubernetes.names import file_path_errors
from ..errors import FieldError, Json, forbidden_field, invalid, invalid_value, required, unsupported_value
from . import pod_security, validation
from .strategy import ErrorList, Strategy

RESTART_POLICIES = ("Always", "OnFailure", "Never")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MUTABLE_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def default_pod_spec(spec: Json) -> None:
    """Defaults of a pod's spec that templates have as well."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field, ()):
            default_container(container)
    for volume in spec.get("volumes", ()):
        default_volume(volume)
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    if not spec.get("nodeName", "-"):
        del spec["nodeName"]
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")


def default_container(container: Json) -> None:
    """Defaults of a container."""
    container.setdefault("resources", {})
    limits = container["resources"].get("limits")
    if limits:
        container["resources"]["requests"] = {**limits, **container["resources"].get("requests", {})}
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            default_probe(container[probe])
    for variable in container.get("env", ()):
        source = variable.get("valueFrom", {}).get("fieldRef")
        if source is not None:
            source.setdefault("apiVersion", "v1")


def default_probe(probe: Json) -> None:
    """Defaults of a probe."""
    for field, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        probe.setdefault(field, value)
    if "httpGet" in probe:
        probe["httpGet"].setdefault("path", "/")
        probe["httpGet"].setdefault("scheme", "HTTP")


def default_volume(volume: Json) -> None:
    """Defaults of a volume's source."""
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if source in volume:
            volume[source].setdefault("defaultMode", 0o644)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    for part in volume.get("projected", {}).get("sources", ()):
        if "serviceAccountToken" in part:
            part["serviceAccountToken"].setdefault("expirationSeconds", 3600)


def pull_policy(image: str) -> str:
    """`Always` for the tag latest or none."""
    name = image.partition("@")[0].rpartition("/")[2]
    _, colon, tag = name.partition(":")
    newest = (not colon and "@" not in image) or tag == "latest"
    return "Always" if newest else "IfNotPresent"


def default_pod(pod: Json) -> None:
    """Defaults of a v1.Pod."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("priority", 0)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    for condition in pod.get("status", {}).get("conditions") or ():
        for time in ("lastProbeTime", "lastTransitionTime"):  # no pointers in Kubernetes' types: null when unset
            condition.setdefault(time, None)


def prepare_pod(pod: Json) -> None:
    """At creation: tolerations that every pod gets, and a status of the server's own."""
    spec = pod.setdefault("spec", {})
    if spec.get("ephemeralContainers"):
        error = forbidden_field("spec.ephemeralContainers", "cannot be set on create")
        raise invalid("", "Pod", pod.get("metadata", {}).get("name", ""), [error])
    tolerations = spec.setdefault("tolerations", [])
    for key in TOLERATED:
        if not any(tolerates(toleration, key) for toleration in tolerations):
            toleration = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            tolerations.append(toleration)
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}


def tolerates(toleration: Json, key: str) -> bool:
    """Whether a toleration covers NoExecute taints of that key."""
    return toleration.get("key") in (None, "", key) and toleration.get("effect") in (None, "", "NoExecute")


def qos_class(spec: Json) -> str:
    """The quality-of-service class."""
    resources = [c.get("resources", {}) for f in ("initContainers", "containers") for c in spec.get(f, ())]
    kinds = ("cpu", "memory")
    requests = [{k: v for k, v in r.get("requests", r.get("limits", {})).items() if k in kinds} for r in resources]
    limits = [{k: v for k, v in r.get("limits", {}).items() if k in kinds} for r in resources]
    if not any(requests) and not any(limits):
        return "BestEffort"
    if all(set(limit) == set(kinds) for limit in limits) and requests == limits:
        return "Guaranteed"
    return "Burstable"


def validate_pod_spec(spec: Json, path: str, policies: tuple[str, ...] = RESTART_POLICIES) -> Iterator[FieldError]:
    """Complaints about a pod's spec."""
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    yield from pod_security.pod_errors(spec, path)
    names: set[str] = set()
    volumes = {volume.get("name") for volume in spec.get("volumes", ())}
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field, ())):
            yield from validate_container(container, f"{path}.{field}[{index}]", names, volumes)
    for index, volume in enumerate(spec.get("volumes", ())):
        yield from volume_path_errors(volume, f"{path}.volumes[{index}]")
    if spec.get("restartPolicy") not in policies:
        yield unsupported_value(f"{path}.restartPolicy", spec.get("restartPolicy"), policies)
    grace = spec.get("terminationGracePeriodSeconds", 0)
    if grace < 0:
        yield invalid_value(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0")
    if selector := spec.get("nodeSelector"):
        yield from validation.label_errors(f"{path}.nodeSelector", selector)


def volume_path_errors(volume: Json, path: str) -> Iterator[FieldError]:
    """Complaints about where a volume puts its files."""
    sources = [(path, volume)]
    sources += [
        (f"{path}.projected.sources[{index}]", source)
        for index, source in enumerate(volume.get("projected", {}).get("sources", ()))
    ]
    for place, source in sources:
        for kind in ("configMap", "secret", "downwardAPI"):
            for index, item in enumerate(source.get(kind, {}).get("items", ())):
                yield from _path_errors(f"{place}.{kind}.items[{index}].path", item.get("path", ""))
        if "serviceAccountToken" in source:
            yield from _path_errors(f"{place}.serviceAccountToken.path", source["serviceAccountToken"].get("path", ""))


def _path_errors(field: str, path: str) -> Iterator[FieldError]:
    if not path:
        yield required(field)
    yield from (invalid_value(field, path, reason) for reason in file_path_errors(path))


def validate_container(container: Json, path: str, names: set[str], volumes: set[str]) -> Iterator[FieldError]:
    """Complaints about one container; `names` collects the names of the pod."""
    name = container.get("name", "")
    if not name:
        yield required(f"{path}.name")
    elif name in names:
        yield FieldError(f"{path}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"')
    else:
        yield from validation.dns_label_errors(f"{path}.name", name)
    names.add(name)
    yield from pod_security.container_errors(container, path)
    if not container.get("image"):
        yield required(f"{path}.image")
    if container.get("imagePullPolicy") not in PULL_POLICIES:
        yield unsupported_value(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), sorted(PULL_POLICIES))
    for index, port in enumerate(container.get("ports", ())):
        if not 0 < port.get("containerPort", 0) < 65536:
            field_path = f"{path}.ports[{index}].containerPort"
            yield invalid_value(field_path, port.get("containerPort", 0), "must be between 1 and 65535, inclusive")
    for index, mount in enumerate(container.get("volumeMounts", ())):
        if not mount.get("mountPath"):
            yield required(f"{path}.volumeMounts[{index}].mountPath")
        if mount.get("name") not in volumes:
            field_path = f"{path}.volumeMounts[{index}].name"
            yield FieldError(field_path, "FieldValueNotFound", f'Not found: "{mount.get("name", "")}"')


def validate_pod(pod: Json) -> ErrorList:
    """Complaints about a v1.Pod."""
    return list(validate_pod_spec(pod["spec"], "spec"))


def validate_pod_update(new: Json, old: Json) -> ErrorList:
    """Only images, the active deadline and further tolerations may change."""
    if immutable_part(new["spec"], old["spec"]) == immutable_part(old["spec"], old["spec"]):
        return ()
    return [forbidden_field("spec", MUTABLE_TEXT)]


def immutable_part(spec: Json, old: Json) -> Json:
    """What may not change; tolerations count only when one of the old ones is missing."""
    part = {key: value for key, value in spec.items() if key not in ("activeDeadlineSeconds", "tolerations")}
    for field in ("initContainers", "containers"):
        if field in part:
            part[field] = [{k: v for k, v in item.items() if k != "image"} for item in part[field]]
    tolerations = spec.get("tolerations", [])
    part["tolerations"] = all(toleration in tolerations for toleration in old.get("tolerations", ()))
    return part


PODS = Strategy(prepare_pod, default_pod, validate_pod, validate_pod_update)
