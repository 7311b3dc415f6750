"""Whether an object has the types and the sort of names that the Kubernetes API gives it, as far as an edge reads it. Pure.

An API server refuses what is otherwise; a cloud that is hostile, or an edge's own database after such a one, is no API server. What is checked here
need not be checked by those who read the object.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from kubeedge_actors.kubernetes import names

Json = dict[str, Any]
Number = int | float | None
Text = str | None
Label = Annotated[str, msgspec.Meta(pattern=rf"\A{names.DNS_LABEL}\Z")]
"""Of a container or a volume: a name of which a folder is made."""
Uid = Annotated[str, msgspec.Meta(pattern=rf"\A({names.UID})?\Z")]


class _Metadata(msgspec.Struct):
    name: Text = None
    namespace: Text = None
    uid: Uid | None = None
    resourceVersion: str | int | None = None
    generation: Number = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    creationTimestamp: Text = None
    deletionTimestamp: Text = None
    deletionGracePeriodSeconds: Number = None
    ownerReferences: list[Json] | None = None


class _Object(msgspec.Struct):
    metadata: _Metadata | None = None


class _Reference(msgspec.Struct):
    name: Text = None
    optional: bool | None = None


class _Variable(msgspec.Struct):
    name: str
    value: Text = None
    valueFrom: dict[str, Json] | None = None


class _Variables(msgspec.Struct):
    prefix: Text = None
    configMapRef: _Reference | None = None
    secretRef: _Reference | None = None


class _Mount(msgspec.Struct):
    name: Label
    mountPath: str
    subPath: Text = None
    subPathExpr: Text = None
    readOnly: bool | None = None


class _Command(msgspec.Struct):
    command: list[str] | None = None


class _Request(msgspec.Struct):
    port: int | str
    host: Text = None
    path: Text = None
    scheme: Text = None
    service: Text = None
    httpHeaders: list[dict[str, str]] | None = None


class _Handler(msgspec.Struct):
    exec: _Command | None = None
    httpGet: _Request | None = None
    tcpSocket: _Request | None = None
    grpc: _Request | None = None
    sleep: dict[str, int] | None = None
    initialDelaySeconds: Number = None
    periodSeconds: Number = None
    timeoutSeconds: Number = None
    successThreshold: Number = None
    failureThreshold: Number = None
    terminationGracePeriodSeconds: Number = None


class _Resources(msgspec.Struct):
    limits: dict[str, str | int | float] | None = None
    requests: dict[str, str | int | float] | None = None


class _Port(msgspec.Struct):
    containerPort: int
    hostPort: int | None = None
    hostIP: Text = None
    name: Text = None
    protocol: Text = None


class _Capabilities(msgspec.Struct):
    add: list[str] | None = None
    drop: list[str] | None = None


class _SecurityContext(msgspec.Struct):
    """Of a pod or of a container."""

    supplementalGroups: list[int] | None = None
    sysctls: list[dict[str, str]] | None = None
    capabilities: _Capabilities | None = None
    seccompProfile: dict[str, Text] | None = None
    appArmorProfile: dict[str, Text] | None = None
    seLinuxOptions: dict[str, Text] | None = None


class _Alias(msgspec.Struct):
    ip: str
    hostnames: list[str] | None = None


class _Resolver(msgspec.Struct):
    nameservers: list[str] | None = None
    searches: list[str] | None = None
    options: list[dict[str, Text]] | None = None


class _Container(msgspec.Struct):
    name: Label
    image: Text = None
    imagePullPolicy: Text = None
    command: list[str] | None = None
    args: list[str] | None = None
    workingDir: Text = None
    restartPolicy: Text = None
    env: list[_Variable] | None = None
    envFrom: list[_Variables] | None = None
    volumeMounts: list[_Mount] | None = None
    ports: list[_Port] | None = None
    resources: _Resources | None = None
    lifecycle: dict[str, _Handler | str | None] | None = None
    livenessProbe: _Handler | None = None
    readinessProbe: _Handler | None = None
    startupProbe: _Handler | None = None
    securityContext: _SecurityContext | None = None
    terminationMessagePath: Text = None
    terminationMessagePolicy: Text = None


class _Item(msgspec.Struct):
    path: str
    key: Text = None
    mode: int | None = None
    fieldRef: dict[str, str] | None = None
    resourceFieldRef: dict[str, str | int] | None = None


class _Files(msgspec.Struct):
    name: Text = None
    secretName: Text = None
    defaultMode: int | None = None
    optional: bool | None = None
    items: list[_Item] | None = None


class _Token(msgspec.Struct):
    path: str
    audience: Text = None
    expirationSeconds: Number = None


class _Source(msgspec.Struct):
    configMap: _Files | None = None
    secret: _Files | None = None
    downwardAPI: _Files | None = None
    serviceAccountToken: _Token | None = None


class _Projected(msgspec.Struct):
    sources: list[_Source] | None = None
    defaultMode: int | None = None


class _Volume(msgspec.Struct):
    name: Label
    configMap: _Files | None = None
    secret: _Files | None = None
    downwardAPI: _Files | None = None
    projected: _Projected | None = None
    emptyDir: dict[str, str | int | None] | None = None
    hostPath: dict[str, Text] | None = None
    persistentVolumeClaim: dict[str, str | bool | None] | None = None


class _PodSpec(msgspec.Struct):
    containers: list[_Container] | None = None
    initContainers: list[_Container] | None = None
    volumes: list[_Volume] | None = None
    imagePullSecrets: list[_Reference] | None = None
    nodeName: Text = None
    hostname: Text = None
    hostNetwork: bool | None = None
    restartPolicy: Text = None
    serviceAccountName: Text = None
    serviceAccount: Text = None
    terminationGracePeriodSeconds: Number = None
    activeDeadlineSeconds: Number = None
    securityContext: _SecurityContext | None = None
    hostAliases: list[_Alias] | None = None
    dnsPolicy: Text = None
    dnsConfig: _Resolver | None = None


class _Pod(msgspec.Struct):
    metadata: _Metadata
    spec: _PodSpec | None = None
    status: Json | None = None


_SHAPES: dict[str, type[msgspec.Struct]] = {"pod": _Pod}
"""By type as in a path of the wire; of the others the metadata are checked."""


def shape_error(type: str, object: object) -> str:
    """What in an object is not of the API's type, in one sentence; empty when nothing is. What nobody reads is not looked at.

    >>> shape_error("pod", {"metadata": {"name": "a"}, "spec": {"containers": [{"name": []}]}})
    'Expected `str`, got `array` - at `$.spec.containers[0].name`'
    >>> shape_error("configmap", {"metadata": {"name": "a"}, "data": 5})
    ''
    """
    try:
        msgspec.convert(object, _SHAPES.get(type, _Object))
    except msgspec.ValidationError as error:
        return str(error)
    return ""
