"""What becomes of the fields of Volume, its sources and VolumeMount. Pure data."""

from __future__ import annotations

from typing import Final

from kubeedge_actors.actors.edged.fields.field import ANY, HONOURED, NO_EFFECT, REFUSED, Field, Fields, each

UNKNOWN_KINDS = (
    "awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker gcePersistentDisk gitRepo glusterfs "
    "image iscsi nfs photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume"
)
UNSUPPORTED_KIND = "volumes of the kind {name} are not supported by this node"
NOT_MOUNTED = "processes find the path in `$MOUNT_<VOLUME>`"

VOLUME: Final[Fields] = (
    Field("name", HONOURED, HONOURED),
    Field("configMap", HONOURED, HONOURED, type="ConfigMapVolumeSource"),
    Field("secret", HONOURED, HONOURED, type="SecretVolumeSource"),
    Field("downwardAPI", HONOURED, HONOURED, type="DownwardAPIVolumeSource"),
    Field("projected", HONOURED, HONOURED, type="ProjectedVolumeSource"),
    Field("emptyDir", HONOURED, HONOURED, type="EmptyDirVolumeSource"),
    Field("hostPath", HONOURED, HONOURED, type="HostPathVolumeSource"),
    Field(
        "persistentVolumeClaim",
        HONOURED,
        HONOURED,
        "bound to a hostPath or local volume; others are refused by name",
        type="PersistentVolumeClaimVolumeSource",
    ),
    Field("ephemeral", HONOURED, HONOURED, "as a claim, which a controller of the cluster makes"),
    *each(UNKNOWN_KINDS, REFUSED, refusal=UNSUPPORTED_KIND),
)

CONFIGMAP_VOLUME: Final[Fields] = (
    *each("name items optional defaultMode", HONOURED),
    Field("defaultUser", NO_EFFECT, NO_EFFECT),
)
SECRET_VOLUME: Final[Fields] = (
    *each("secretName items optional defaultMode", HONOURED),
    Field("defaultUser", NO_EFFECT, NO_EFFECT),
)
DOWNWARD_API_VOLUME: Final[Fields] = (
    *each("items defaultMode", HONOURED),
    Field("defaultUser", NO_EFFECT, NO_EFFECT),
)
PROJECTED_VOLUME: Final[Fields] = (
    Field("sources", HONOURED, HONOURED, type="VolumeProjection"),
    Field("defaultMode", HONOURED, HONOURED),
    Field("defaultUser", NO_EFFECT, NO_EFFECT),
)
VOLUME_PROJECTION: Final[Fields] = (
    *each("configMap secret downwardAPI serviceAccountToken", HONOURED),
    *each(
        "clusterTrustBundle podCertificate",
        REFUSED,
        refusal="sources of the kind {name} are not supported by this node",
    ),
)
EMPTY_DIR_VOLUME: Final[Fields] = (
    Field("medium", HONOURED, HONOURED, "`Memory` (a tmpfs) needs an edge that runs as root"),
    Field("sizeLimit", HONOURED, HONOURED, "measured every 10 s, the pod is evicted; in memory the size of the tmpfs"),
    Field("mode", NO_EFFECT, NO_EFFECT),
)
CLAIM_VOLUME: Final[Fields] = (
    Field("claimName", HONOURED, HONOURED),
    Field("readOnly", HONOURED, NO_EFFECT, "processes write where they may"),
)
HOST_PATH_VOLUME: Final[Fields] = each("path type", HONOURED)

VOLUME_MOUNT: Final[Fields] = (
    Field("name", HONOURED, HONOURED),
    *each("mountPath readOnly", HONOURED, NO_EFFECT, NOT_MOUNTED, neutral=ANY),
    *each("subPath subPathExpr", HONOURED, note=NOT_MOUNTED),
    Field("mountPropagation", HONOURED, NO_EFFECT, neutral=("None",)),
    Field(
        "recursiveReadOnly",
        REFUSED,
        NO_EFFECT,
        "`Enabled`",
        neutral=("Disabled", "IfPossible"),
        refusal="recursive read-only mounts are not supported by this node",
    ),
    Field("bindMountOptions", NO_EFFECT, NO_EFFECT),
)
