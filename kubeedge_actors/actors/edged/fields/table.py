"""The whole table: type of Kubernetes' API -> its fields. Pure data.

Types that have no row of their own are taken whole, as the field that they are in.
"""

from __future__ import annotations

from typing import Final

from kubeedge_actors.actors.edged.fields import container_fields as container
from kubeedge_actors.actors.edged.fields import pod_fields as pod
from kubeedge_actors.actors.edged.fields import volume_fields as volume
from kubeedge_actors.actors.edged.fields.field import Fields

TABLE: Final[dict[str, Fields]] = {
    "PodSpec": pod.POD_SPEC,
    "PodSecurityContext": pod.POD_SECURITY_CONTEXT,
    "PodOS": pod.POD_OS,
    "PodDNSConfig": pod.POD_DNS_CONFIG,
    "Container": container.CONTAINER,
    "SecurityContext": container.SECURITY_CONTEXT,
    "Capabilities": container.CAPABILITIES,
    "SeccompProfile": container.SECCOMP_PROFILE,
    "AppArmorProfile": container.APPARMOR_PROFILE,
    "ResourceRequirements": container.RESOURCE_REQUIREMENTS,
    "ResourceList": container.RESOURCE_LIST,
    "EnvVar": container.ENV_VAR,
    "EnvVarSource": container.ENV_VAR_SOURCE,
    "EnvFromSource": container.ENV_FROM_SOURCE,
    "ContainerPort": container.CONTAINER_PORT,
    "Probe": container.PROBE,
    "Lifecycle": container.LIFECYCLE,
    "LifecycleHandler": container.LIFECYCLE_HANDLER,
    "Volume": volume.VOLUME,
    "ConfigMapVolumeSource": volume.CONFIGMAP_VOLUME,
    "SecretVolumeSource": volume.SECRET_VOLUME,
    "DownwardAPIVolumeSource": volume.DOWNWARD_API_VOLUME,
    "ProjectedVolumeSource": volume.PROJECTED_VOLUME,
    "VolumeProjection": volume.VOLUME_PROJECTION,
    "EmptyDirVolumeSource": volume.EMPTY_DIR_VOLUME,
    "PersistentVolumeClaimVolumeSource": volume.CLAIM_VOLUME,
    "HostPathVolumeSource": volume.HOST_PATH_VOLUME,
    "VolumeMount": volume.VOLUME_MOUNT,
}
