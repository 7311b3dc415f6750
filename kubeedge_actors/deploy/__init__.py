"""Manifests of the cloud for a Kubernetes cluster, shipped with the program.

Belongs here: what `kubectl apply` takes (`crds.yaml`, `rbac.yaml`, `cloud.yaml`, `namespace.yaml`) and the few lines that read it. Does not: what
the program does with it (`assembly/prerequisites.py`), manifests of workloads. `deploy` at the top of the repository is a link to this folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
CRDS, NAMESPACE, RBAC = FOLDER / "crds.yaml", FOLDER / "namespace.yaml", FOLDER / "rbac.yaml"


def documents(path: Path) -> list[dict[str, Any]]:
    """The objects of a manifest."""
    from kubeedge_actors.config import (
        parse_yaml_documents,
    )  # YAML is loaded only by a cloud that has to install something

    return [object for object in parse_yaml_documents(path.read_text(encoding="utf-8")) if object]
