"""Group, version and resource behind the resource types of the wire, with kind and scope (Kubernetes:
GroupVersionResource).
"""

from __future__ import annotations

from typing import Final

from kubeedge_actors.wire import constants

GVR = tuple[str, str, str, str, bool]

DEVICE: Final[GVR] = ("devices.kubeedge.io", "v1beta1", "devices", "Device", True)
DEVICEMODEL: Final[GVR] = ("devices.kubeedge.io", "v1beta1", "devicemodels", "DeviceModel", True)
DEVICESTATUS: Final[GVR] = ("devices.kubeedge.io", "v1beta1", "devicestatuses", "DeviceStatus", True)
OBJECTSYNC: Final[GVR] = ("reliablesyncs.kubeedge.io", "v1alpha1", "objectsyncs", "ObjectSync", True)
CLUSTEROBJECTSYNC: Final[GVR] = (
    "reliablesyncs.kubeedge.io",
    "v1alpha1",
    "clusterobjectsyncs",
    "ClusterObjectSync",
    False,
)

BY_TYPE: Final[dict[str, GVR]] = {
    constants.NODE: ("", "v1", "nodes", "Node", False),
    constants.POD: ("", "v1", "pods", "Pod", True),
    constants.CONFIGMAP: ("", "v1", "configmaps", "ConfigMap", True),
    constants.SECRET: ("", "v1", "secrets", "Secret", True),
    constants.PERSISTENTVOLUME: ("", "v1", "persistentvolumes", "PersistentVolume", False),
    constants.PERSISTENTVOLUMECLAIM: ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True),
    constants.VOLUMEATTACHMENT: ("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", False),
    constants.CERTIFICATESIGNINGREQUEST: (
        "certificates.k8s.io",
        "v1",
        "certificatesigningrequests",
        "CertificateSigningRequest",
        False,
    ),
    constants.DEVICE: DEVICE,
    constants.DEVICEMODEL: DEVICEMODEL,
}
"""The kind of each resource type that is an object of the API and can be asked for or pushed."""
