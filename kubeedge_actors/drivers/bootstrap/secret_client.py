"""Secrets of one namespace as maps of bytes, written over the version that was read."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from kubeedge_actors.drivers.cluster.base import Cluster, Json
from kubeedge_actors.errors import AlreadyExists, CertificateError, Conflict, NotFound
from kubeedge_actors.kubernetes.object_types import NAMESPACE_KIND, SECRET_KIND

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SecretData:
    """The bytes in a Secret, and the version they are of."""

    data: Mapping[str, bytes]
    version: str


class SecretClient:
    """Secrets of one namespace as maps of bytes."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self.namespace = namespace

    def get(self, name: str) -> SecretData | None:
        """The data of a v1.Secret; None when there is none. Error: CertificateError when it is damaged."""
        try:
            secret = self._cluster.get(SECRET_KIND, self.namespace, name)
        except NotFound:
            return None
        try:
            data = {key: base64.b64decode(str(text), validate=True) for key, text in (secret.get("data") or {}).items()}
        except (binascii.Error, ValueError) as error:
            raise CertificateError(f"the secret {self.namespace}/{name} is damaged: {error}") from error
        return SecretData(data, str(secret["metadata"].get("resourceVersion", "")))

    def put(self, name: str, data: Mapping[str, bytes], over: SecretData | None) -> bool:
        """Create the v1.Secret, or replace the version that was read; False for a conflict."""
        metadata: Json = {"name": name, "namespace": self.namespace}
        texts = {key: base64.b64encode(value).decode() for key, value in data.items()}
        secret: Json = {"metadata": metadata, "type": "Opaque", "data": texts}
        try:
            if over is None:
                self._create(secret)
            else:
                metadata["resourceVersion"] = over.version
                self._cluster.replace(SECRET_KIND, self.namespace, name, secret)
        except (AlreadyExists, Conflict, NotFound):
            return False
        return True

    def _create(self, secret: Json) -> None:
        try:
            self._cluster.create(SECRET_KIND, self.namespace, secret)
        except NotFound:  # the namespace: the first cloud of this cluster makes it
            try:
                self._cluster.create(NAMESPACE_KIND, "", {"metadata": {"name": self.namespace}})
            except AlreadyExists:
                log.debug("somebody else made namespace %s", self.namespace)
            self._cluster.create(SECRET_KIND, self.namespace, secret)
