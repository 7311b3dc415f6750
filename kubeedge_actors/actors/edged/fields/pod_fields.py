"""What becomes of the fields of PodSpec and of what is in it apart from containers and volumes. Pure data."""

from __future__ import annotations

from typing import Final

from kubeedge_actors.actors.edged.fields.field import CLUSTER, HONOURED, NO_EFFECT, REFUSED, Field, Fields, each

OTHER_USER = "another user needs, of processes, an edge that runs as root, and for volumes a data directory that lets others pass"

POD_SPEC: Final[Fields] = (
    Field("containers", HONOURED, HONOURED, type="Container"),
    Field("initContainers", HONOURED, HONOURED, "with `restartPolicy: Always` a sidecar", type="Container"),
    Field("volumes", HONOURED, HONOURED, "processes find them in `$MOUNT_<VOLUME>`", type="Volume"),
    Field("securityContext", HONOURED, HONOURED, type="PodSecurityContext"),
    *each("activeDeadlineSeconds restartPolicy terminationGracePeriodSeconds readinessGates nodeName", HONOURED),
    *each("serviceAccountName serviceAccount", HONOURED, note="tokens of projected volumes are this account's"),
    Field("hostNetwork", HONOURED, HONOURED, "processes have the machine's network in any case"),
    Field("hostPID", HONOURED, HONOURED, "processes see those of the machine in any case"),
    Field("hostIPC", HONOURED, HONOURED, "processes have the machine's in any case"),
    Field("hostname", HONOURED, HONOURED, "of a process only `$HOSTNAME`"),
    Field("hostAliases", HONOURED, NO_EFFECT),
    Field("imagePullSecrets", HONOURED, NO_EFFECT, "images are only names to the process runtime", neutral=("*",)),
    Field(
        "dnsPolicy", HONOURED, NO_EFFECT, "there is no cluster DNS: all but `None` are `Default`",
        neutral=("ClusterFirst", "ClusterFirstWithHostNet", "Default"),
    ),
    Field("dnsConfig", HONOURED, HONOURED, type="PodDNSConfig"),
    Field("shareProcessNamespace", HONOURED, HONOURED, "processes see those of the machine in any case"),
    Field("enableServiceLinks", HONOURED, HONOURED, "a genuine cloudcore tells nodes no Services"),
    *each("subdomain setHostnameAsFQDN hostnameOverride", NO_EFFECT, note="there is no cluster domain"),
    Field(
        "hostUsers", REFUSED, NO_EFFECT, neutral=(True,),
        refusal="can't set `spec.hostUsers: false`, runtime does not support user namespaces",
    ),
    Field("runtimeClassName", REFUSED, NO_EFFECT, refusal='RuntimeClass "{value}" not found'),
    Field("resourceClaims", REFUSED, REFUSED, refusal="resource claims are not supported by this node"),
    Field("os", HONOURED, HONOURED, type="PodOS"),
    Field("ephemeralContainers", HONOURED, HONOURED, "of `kubectl debug`; Docker: in the network of the pod and the processes of the target"),
    *each("overhead resources", NO_EFFECT, note="of containers they are honoured"),
    *each("evictionResponders schedulingGroup", CLUSTER),
    *each("affinity nodeSelector tolerations topologySpreadConstraints schedulerName schedulingGates", CLUSTER),
    *each("priority priorityClassName preemptionPolicy", CLUSTER),
    Field("automountServiceAccountToken", CLUSTER, CLUSTER, "the API server adds the volume"),
)  # fmt: skip

POD_OS: Final[Fields] = (
    Field(
        "name", REFUSED, REFUSED, "other than `linux`", neutral=("linux",),
        refusal="Failed to admit pod as the OS field doesn't match node OS",
    ),
)  # fmt: skip

POD_SECURITY_CONTEXT: Final[Fields] = (
    *each("runAsUser runAsGroup runAsNonRoot", HONOURED, note=OTHER_USER),
    Field("supplementalGroups", HONOURED, HONOURED),
    Field("fsGroup", HONOURED, HONOURED, "of emptyDir, local volumes of claims, files of ConfigMaps, Secrets, tokens"),
    Field("fsGroupChangePolicy", HONOURED, HONOURED),
    Field(
        "supplementalGroupsPolicy",
        REFUSED,
        HONOURED,
        "`Strict`",
        neutral=("Merge",),
        refusal="SupplementalGroupsPolicy={value} is not supported in this node",
    ),
    Field("seccompProfile", HONOURED, HONOURED, type="SeccompProfile"),
    Field("appArmorProfile", HONOURED, HONOURED, "refused where the engine has no AppArmor", type="AppArmorProfile"),
    Field("seLinuxOptions", HONOURED, NO_EFFECT),
    Field("seLinuxChangePolicy", NO_EFFECT, NO_EFFECT),
    Field("sysctls", HONOURED, NO_EFFECT, "those that a kubelet allows by itself; others are refused"),
    Field("windowsOptions", NO_EFFECT, NO_EFFECT),
)

POD_DNS_CONFIG: Final[Fields] = each("nameservers options searches", HONOURED, NO_EFFECT)
