"""What becomes of the fields of Container and of what is in it. Pure data."""

from __future__ import annotations

from typing import Final

from kubeedge_actors.actors.edged.fields.field import (
    ANY,
    CGROUP,
    CLUSTER,
    HONOURED,
    NO_EFFECT,
    REFUSED,
    Field,
    Fields,
    each,
)

IMAGE = "images are only names to the process runtime"

CONTAINER: Final[Fields] = (
    *each("name args", HONOURED),
    Field("command", HONOURED, HONOURED, "the process runtime needs one"),
    Field("image", HONOURED, NO_EFFECT, IMAGE, neutral=ANY),
    Field("imagePullPolicy", HONOURED, NO_EFFECT, IMAGE, neutral=ANY),
    Field("env", HONOURED, HONOURED, type="EnvVar"),
    Field("envFrom", HONOURED, HONOURED, type="EnvFromSource"),
    Field("workingDir", HONOURED, HONOURED, "a folder of the machine with the process runtime"),
    Field("ports", HONOURED, HONOURED, type="ContainerPort"),
    Field("resources", HONOURED, HONOURED, type="ResourceRequirements"),
    Field("securityContext", HONOURED, HONOURED, type="SecurityContext"),
    Field("volumeMounts", HONOURED, HONOURED, type="VolumeMount"),
    *(Field(name, HONOURED, HONOURED, type="Probe") for name in ("startupProbe", "livenessProbe", "readinessProbe")),
    Field("lifecycle", HONOURED, HONOURED, type="Lifecycle"),
    Field("restartPolicy", HONOURED, HONOURED, "`Always` of an init container: a sidecar; without one the pod's"),
    *each("stdin stdinOnce", HONOURED),
    Field("tty", HONOURED, NO_EFFECT),
    Field("terminationMessagePath", HONOURED, HONOURED, "processes find the file in `$MOUNT_TERMINATION_LOG`"),
    Field("terminationMessagePolicy", HONOURED, HONOURED),
    Field("resizePolicy", NO_EFFECT, NO_EFFECT, "a pod is not resized in place", neutral=ANY),
    Field("restartPolicyRules", NO_EFFECT, NO_EFFECT),
    Field("volumeDevices", REFUSED, REFUSED, refusal="block devices (volumeDevices) are not supported by this node"),
)

SECURITY_CONTEXT: Final[Fields] = (
    *each("runAsUser runAsGroup runAsNonRoot", HONOURED),
    Field("privileged", HONOURED, HONOURED, "a process has the privileges of the edge in any case"),
    Field("capabilities", HONOURED, HONOURED, type="Capabilities"),
    Field("allowPrivilegeEscalation", HONOURED, HONOURED, "`false`: no_new_privs"),
    Field("readOnlyRootFilesystem", HONOURED, NO_EFFECT),
    Field("procMount", NO_EFFECT, NO_EFFECT, neutral=("Default",)),
    Field("seccompProfile", HONOURED, HONOURED, type="SeccompProfile"),
    Field("appArmorProfile", HONOURED, HONOURED, "refused where the engine has no AppArmor", type="AppArmorProfile"),
    Field("seLinuxOptions", HONOURED, NO_EFFECT),
    Field("windowsOptions", NO_EFFECT, NO_EFFECT),
)

CAPABILITIES: Final[Fields] = (
    Field("add", HONOURED, HONOURED, "a process has those of the edge in any case"),
    Field("drop", HONOURED, HONOURED),
)

APPARMOR_PROFILE: Final[Fields] = (
    Field("type", HONOURED, NO_EFFECT, neutral=("Unconfined",)),
    Field("localhostProfile", HONOURED, NO_EFFECT, "a profile that is loaded"),
)

SECCOMP_PROFILE: Final[Fields] = (
    Field("type", HONOURED, NO_EFFECT, "without one the engine's default", neutral=("Unconfined",)),
    Field("localhostProfile", HONOURED, NO_EFFECT, "below `/var/lib/kubelet/seccomp`"),
)

RESOURCE_REQUIREMENTS: Final[Fields] = (
    Field("limits", HONOURED, HONOURED, type="ResourceList"),
    Field("requests", HONOURED, CLUSTER, "the scheduler counts them; those of `cpu` are the shares of a cgroup, too"),
    Field("claims", REFUSED, REFUSED, refusal="resource claims are not supported by this node"),
)

RESOURCE_LIST: Final[Fields] = (
    Field("cpu", HONOURED, CGROUP),
    Field("memory", HONOURED, HONOURED, "by a cgroup; on a node without one, each process by itself (RLIMIT_DATA)"),
    Field(
        "ephemeral-storage",
        HONOURED,
        HONOURED,
        "measured every 10 s, the pod is evicted; of processes the log and their own folder",
    ),
    Field("*", NO_EFFECT, NO_EFFECT, "all others"),
)
"""The limits by resource; `*` stands for all others."""

ENV_VAR: Final[Fields] = (
    *each("name value", HONOURED),
    Field("valueFrom", HONOURED, HONOURED, type="EnvVarSource"),
)
ENV_VAR_SOURCE: Final[Fields] = (
    *each("configMapKeyRef secretKeyRef fieldRef resourceFieldRef", HONOURED),
    Field("fileKeyRef", REFUSED, REFUSED, refusal="variables from files (fileKeyRef) are not supported by this node"),
)
ENV_FROM_SOURCE: Final[Fields] = each("configMapRef secretRef prefix", HONOURED)

CONTAINER_PORT: Final[Fields] = (
    *each("containerPort name protocol", HONOURED),
    *each("hostPort hostIP", HONOURED, NO_EFFECT, "a process listens where it likes"),
)

PROBE: Final[Fields] = (
    *each("exec httpGet tcpSocket", HONOURED),
    *each("initialDelaySeconds periodSeconds timeoutSeconds successThreshold failureThreshold", HONOURED),
    Field("terminationGracePeriodSeconds", HONOURED, HONOURED),
    Field("grpc", HONOURED, HONOURED, "with the extra `probes` installed (the library `h2`); refused without it"),
)
LIFECYCLE: Final[Fields] = (
    Field("postStart", HONOURED, HONOURED, type="LifecycleHandler"),
    Field("preStop", HONOURED, HONOURED, type="LifecycleHandler"),
    Field("stopSignal", HONOURED, NO_EFFECT),
)
LIFECYCLE_HANDLER: Final[Fields] = (*each("exec httpGet tcpSocket sleep", HONOURED),)
