"""The matrix of hostile hub frames: operation x resource x route x whose x what is done to the name.

A frame is what a joined node A says about itself, about node B or about the cluster; `CLUSTER` below is what there is of each.
"""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kubeedge_actors.wire import constants as n

Json = dict[str, Any]

A, B = "edge-a", "edge-b"
MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a mirror pod."""
NAMESPACE = "plant"
"""Where B's pod and what it uses are."""
OPERATIONS = (
    *(n.INSERT, n.UPDATE, n.DELETE, n.QUERY, n.PATCH, n.GET, n.UPLOAD, n.RESPONSE, n.ERROR, n.KEEPALIVE, n.PUBLISH),
    *(n.SUBSCRIBE, n.MESSAGE, n.ACKNOWLEDGE, n.APPLICATION, n.APPLICATION_RESPONSE, n.CONTROL_CONFIG, "", "DELETE"),
)
ROUTES = (
    *((n.EDGED, n.GROUP_META), (n.EDGED, n.GROUP_RESOURCE), (n.METAMANAGER, n.GROUP_RESOURCE)),
    *((n.SOURCE_DEVICETWIN, n.GROUP_RESOURCE), (n.SOURCE_DEVICETWIN, n.GROUP_TWIN), (n.SOURCE_BUS, n.GROUP_USER)),
    *((n.EDGECONTROLLER, n.GROUP_RESOURCE), (n.DEVICECONTROLLER, n.GROUP_TWIN), (n.SYNCCONTROLLER, n.GROUP_RESOURCE)),
    *((n.SOURCE_METASERVER, n.GROUP_DYNAMICCONTROLLER), (n.SOURCE_CUSTOM, n.GROUP_CUSTOM)),
    *((n.CLOUDHUB, n.GROUP_HUB), ("", "")),
)
USUAL = {n.EDGED: ROUTES[0], n.DEVICE: ROUTES[3]}
"""The route that a genuine edge gives a message about an object, and about a device."""

TARGETS: dict[str, dict[str, tuple[str, str]]] = {
    n.NODE: {"own": ("null", A), "other": ("null", B), "cluster": ("null", "control")},
    n.LEASE: {"own": (n.LEASE_NAMESPACE, A), "other": (n.LEASE_NAMESPACE, B), "cluster": (n.SYSTEM_NAMESPACE, "cloud")},
    n.POD: {"own": ("default", "own"), "other": (NAMESPACE, "worker"), "cluster": ("kube-system", "dns")},
    n.SECRET: {"own": ("default", "own"), "other": (NAMESPACE, "key"), "cluster": (n.SYSTEM_NAMESPACE, "casecret")},
    n.CONFIGMAP: {"own": ("default", "own"), "other": (NAMESPACE, "settings"), "cluster": ("kube-system", "settings")},
    n.SERVICEACCOUNTTOKEN: {
        "own": ("default", "default"),
        "other": (NAMESPACE, "robot"),
        "cluster": ("kube-system", "admin"),
    },
    n.PERSISTENTVOLUMECLAIM: {
        "own": ("default", "own"),
        "other": (NAMESPACE, "claim"),
        "cluster": ("kube-system", "claim"),
    },
    n.PERSISTENTVOLUME: {"own": ("null", "own"), "other": ("null", "disk"), "cluster": ("null", "free-disk")},
    n.EVENT: {"own": ("default", "own.1"), "other": (NAMESPACE, "worker.1"), "cluster": ("kube-system", "dns.1")},
    n.CERTIFICATESIGNINGREQUEST: {
        "own": ("default", "own"),
        "other": ("default", "csr-b"),
        "cluster": ("null", "csr-c"),
    },
    n.DEVICE: {"own": ("default", "own"), "other": (NAMESPACE, "lamp"), "cluster": ("kube-system", "lamp")},
    n.DEVICEMODEL: {"own": ("default", "own"), "other": (NAMESPACE, "lamp"), "cluster": ("kube-system", "lamp")},
}
"""By type and by whose it is: namespace and name."""
ALIASES = {
    n.NODEPATCH: n.NODE,
    n.NODESTATUS: n.NODE,
    n.PODPATCH: n.POD,
    n.PODSTATUS: n.POD,
    n.PODLIST: n.POD,
    n.SERVICEACCOUNTACCESS: n.SERVICEACCOUNTTOKEN,
    n.VOLUMEATTACHMENT: n.PERSISTENTVOLUME,
    n.VOLUME: n.PERSISTENTVOLUME,
    "objectsync": n.POD,
    "clusterobjectsync": n.NODE,
    "devicestatus": n.DEVICE,
    "rule": n.DEVICE,
    "ruleendpoint": n.DEVICE,
    "deployment": n.POD,
    "namespace": n.NODE,
    "clusterrolebinding": n.NODE,
}
"""Further types of the wire and of the API, and whose targets they are tried on."""
TYPES = (*TARGETS, *ALIASES)
FIXED = (n.PATH_MEMBERSHIP_DETAIL, n.MEMBERSHIP, n.PATH_CLUSTER_CA, n.PATH_CONNECTION, n.PATH_OUTBOX, n.PATH_WATCH_SYNC)
ABOUT = (n.PATH_TWIN_REPORTED, n.PATH_STATE_REPORTED, n.TWIN_CLOUD_UPDATED)

TRICKS: dict[str, Callable[[str], str]] = {
    "plain": lambda name: name,
    "empty": lambda name: "",
    "up": lambda name: f"../{name}",
    "up and down": lambda name: f"x/../{name}",
    "dots": lambda name: "..",
    "here": lambda name: f"./{name}",
    "double slash": lambda name: f"/{name}",
    "slash behind": lambda name: f"{name}/",
    "subresource": lambda name: f"{name}/status",
    "encoded slash": lambda name: f"x%2f..%2f{name}",
    "encoded dots": lambda name: f"%2e%2e/{name}",
    "encoded twice": lambda name: f"%252e%252e%252f{name}",
    "encoded name": lambda name: "".join(f"%{ord(c):02x}" for c in name),
    "query": lambda name: f"{name}?force=true&fieldManager=x",
    "fragment": lambda name: f"{name}#x",
    "look-alike": lambda name: name.replace("e", "\u0435").replace("o", "\u043e"),
    "full width": lambda name: "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in name),
    "invisible": lambda name: f"{name}\u200b",
    "composed": lambda name: f"{name}\u0301",
    "upper case": str.upper,
    "blank": lambda name: f" {name} ",
    "line": lambda name: f"{name}\r\nX-Remote-User: admin",
    "nul": lambda name: f"{name}\0",
    "back slash": lambda name: f"..\\{name}",
    "very long": lambda name: name + "a" * 5_000,
    "selector": lambda name: f"{name},metadata.name!=x",
}
"""What is done to a name."""
WHOSE = ("own", "other", "cluster")


class Case(NamedTuple):
    """One frame of the matrix. `type` may be a fixed path; `about` is for a device's path."""

    operation: str
    type: str
    route: tuple[str, str]
    whose: str
    trick: str
    about: str = ""

    @property
    def text(self) -> str:
        """The frame, with a fresh id."""
        header = {"msg_id": str(uuid.uuid4()), "timestamp": 1_795_374_333_638}
        route = {
            "source": self.route[0],
            "group": self.route[1],
            "operation": self.operation,
            "resource": self._resource(),
        }
        return json.dumps({"header": header, "route": route, "content": content(self)})

    def _resource(self) -> str:
        if self.type in FIXED:
            return TRICKS[self.trick](self.type)
        namespace, name = target(self.type, self.whose)
        name = TRICKS[self.trick](name)
        return f"device/{namespace}/{name}/{self.about}" if self.about else f"{namespace}/{self.type}/{name}"


def target(type: str, whose: str) -> tuple[str, str]:
    """Namespace and name of what a type is tried on."""
    return TARGETS[ALIASES.get(type, type)][whose]


def matrix() -> Iterator[Case]:
    """Every frame."""
    for operation, route, trick, whose in itertools.product(OPERATIONS, ROUTES, TRICKS, WHOSE):
        for type in TYPES:
            yield Case(operation, type, route, whose, trick)
        for about in ABOUT:
            yield Case(operation, n.DEVICE, route, whose, trick, about)
    for operation, route, trick, path in itertools.product(OPERATIONS, ROUTES, TRICKS, FIXED):
        yield Case(operation, path, route, "own", trick)


def usual() -> Iterator[Case]:
    """The part that is likeliest to do harm: another's things, named plainly, on the route on which a genuine edge says such things."""
    for operation, whose in itertools.product(OPERATIONS[:5], WHOSE[1:]):
        for type in TYPES:
            yield Case(operation, type, USUAL[n.EDGED], whose, "plain")
        for about in ABOUT:
            yield Case(operation, n.DEVICE, USUAL[n.DEVICE], whose, "plain", about)


def sample(count: int, seed: int) -> list[Case]:
    """The usual part, and so many of all others."""
    return [*usual(), *random.Random(seed).sample(list(matrix()), count)]


def content(case: Case) -> Any:
    """What such a message carries, aimed at the case's target."""
    if case.operation == n.QUERY and case.type != n.SERVICEACCOUNTTOKEN:
        return None
    if case.about:
        return _device_report(case.about)
    namespace, name = ("default", A) if case.type in FIXED else target(case.type, case.whose)
    make = _CONTENTS.get(case.type)
    made = make(namespace, name) if make else _object(namespace, name)
    return {"gracePeriodSeconds": 0} if case.operation == n.DELETE else made


def _object(namespace: str, name: str, **parts: Any) -> Json:
    metadata = {"name": name, "namespace": namespace, "labels": {"hacked": "1"}, "finalizers": []}
    return {"metadata": metadata, "spec": {"nodeName": A, "replicas": 9}, "data": {"k": "aGFja2Vk"}, **parts}


def _node(namespace: str, name: str) -> Json:
    conditions = [{"type": "Ready", "status": "False"}]
    return _object("", name, spec={"unschedulable": True, "taints": []}, status={"conditions": conditions})


def _mirror(namespace: str, name: str) -> Json:
    made = _object(namespace, name, spec={"nodeName": A, "containers": [{"name": "c", "image": "i"}]})
    made["metadata"]["annotations"] = {MIRROR: "1"}
    return made


def _token(namespace: str, name: str) -> Json:
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "worker", "uid": ""}
    return {"metadata": {}, "spec": {"audiences": None, "expirationSeconds": 3607, "boundObjectRef": bound}}


def _event(namespace: str, name: str) -> Json:
    about = {"kind": "Pod", "namespace": namespace, "name": "worker"}
    return _object(namespace, name, involvedObject=about, reason="Hacked", source={"component": "edged", "host": B})


def _csr(namespace: str, name: str) -> Json:
    signer = "kubernetes.io/kube-apiserver-client"
    return _object("", name, spec={"signerName": signer, "request": "LS0t", "usages": ["client auth"]})


def _device_report(about: str) -> Any:
    if about == n.PATH_STATE_REPORTED:
        return json.dumps({"event_id": "1", "timestamp": 1, "device": {"name": "lamp", "state": "hacked"}})
    actual = {"value": "hacked", "metadata": {"timestamp": 4_000_000_000_000}}
    return {"event_id": "1", "timestamp": 1, "twin": {"power": {"actual": actual, "expected": actual}}}


def _patch(namespace: str, name: str) -> str:
    return json.dumps(
        {"metadata": {"labels": {"hacked": "1"}}, "status": {"phase": "Failed"}, "spec": {"unschedulable": True}}
    )


_CONTENTS: dict[str, Callable[[str, str], Any]] = {
    n.NODE: _node,
    n.NODESTATUS: lambda namespace, name: {"UID": "", "Status": {"phase": "Hacked", "conditions": []}},
    n.NODEPATCH: _patch,
    n.PODPATCH: _patch,
    n.PODSTATUS: lambda namespace, name: [{"Name": name, "UID": "", "Status": {"phase": "Failed"}}],
    n.LEASE: lambda namespace, name: _object(
        namespace, name, spec={"holderIdentity": "enemy", "leaseDurationSeconds": 1}
    ),
    n.POD: _mirror,
    n.SERVICEACCOUNTTOKEN: _token,
    n.CERTIFICATESIGNINGREQUEST: _csr,
    n.EVENT: _event,
    n.PATH_MEMBERSHIP_DETAIL: lambda namespace, name: json.dumps(
        {"event_id": "1", "group_id": B, "operation": "detail"}
    ),
}
