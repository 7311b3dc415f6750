"""Images: when to fetch them, and with which credentials (source: kubelet image manager)."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.edged.pod.pod_spec import PodView
from kubeedge_actors.actors.edged.runtime.pod_config_references import Objects, pull_secret_references
from kubeedge_actors.drivers.containers.base import RegistryAuth
from kubeedge_actors.kubernetes.registry_logins import registry_login

Json = dict[str, Any]

NEVER, ALWAYS, IF_NOT_PRESENT = "Never", "Always", "IfNotPresent"


def pull_policy(container: Json) -> str:
    """The pull policy: as given, else by the image's tag."""
    policy = container.get("imagePullPolicy")
    if policy:
        return str(policy)
    name = str(container.get("image") or "").rpartition("/")[2]
    tagged = "@" in name or (":" in name and not name.endswith(":latest"))
    return IF_NOT_PRESENT if tagged else ALWAYS


def pull_credentials(image: str, pod: PodView, objects: Objects) -> RegistryAuth | None:
    """Those in the pod's pull secrets, as far as they are among `objects`; None when none are for the image's registry."""
    secrets = [objects[secret] for secret in pull_secret_references(pod) if secret in objects]
    login = registry_login(image, secrets)
    return None if login is None else RegistryAuth(login.username, login.password)
