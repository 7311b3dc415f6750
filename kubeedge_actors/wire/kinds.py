"""The kinds of object behind the resource types: group, version, plural, kind, and whether it lives in a namespace."""

from __future__ import annotations

from typing import Final

from kubeedge_actors.wire import names

ObjectKind = tuple[str, str, str, str, bool]

DEVICE: Final[ObjectKind] = ("devices.kubeedge.io", "v1beta1", "devices", "Device", True)
DEVICEMODEL: Final[ObjectKind] = ("devices.kubeedge.io", "v1beta1", "devicemodels", "DeviceModel", True)
DEVICESTATUS: Final[ObjectKind] = ("devices.kubeedge.io", "v1beta1", "devicestatuses", "DeviceStatus", True)
OBJECTSYNC: Final[ObjectKind] = ("reliablesyncs.kubeedge.io", "v1alpha1", "objectsyncs", "ObjectSync", True)
CLUSTEROBJECTSYNC: Final[ObjectKind] = (
    "reliablesyncs.kubeedge.io",
    "v1alpha1",
    "clusterobjectsyncs",
    "ClusterObjectSync",
    False,
)

BY_TYPE: Final[dict[str, ObjectKind]] = {
    names.NODE: ("", "v1", "nodes", "Node", False),
    names.POD: ("", "v1", "pods", "Pod", True),
    names.CONFIGMAP: ("", "v1", "configmaps", "ConfigMap", True),
    names.SECRET: ("", "v1", "secrets", "Secret", True),
    names.PERSISTENTVOLUME: ("", "v1", "persistentvolumes", "PersistentVolume", False),
    names.PERSISTENTVOLUMECLAIM: ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True),
    names.VOLUMEATTACHMENT: ("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", False),
    names.CERTIFICATESIGNINGREQUEST: (
        "certificates.k8s.io",
        "v1",
        "certificatesigningrequests",
        "CertificateSigningRequest",
        False,
    ),
    names.DEVICE: DEVICE,
    names.DEVICEMODEL: DEVICEMODEL,
}
"""The kind of each resource type that is an object of the API and can be asked for or pushed."""
