"""Keys of config maps and secrets, and paths of projected files: refused by the API in Kubernetes' words, and never written beside a volume by the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.apiserver.strategies.core import validate_config_map, validate_secret
from kubeedge_actors.apiserver.strategies.pods import default_pod, validate_pod
from kubeedge_actors.drivers.machine.base import VolumeFile
from kubeedge_actors.drivers.machine.volumes import LocalPodVolumes
from kubeedge_actors.errors import ContainerError

KEYS = {
    ".": "must not be '.'",
    "..": "must not be '..'",
    "..data": "must not start with '..'",
    "..2024_01_01_00_00_00.123": "must not start with '..'",
    "a/b": "a valid config key must consist of",
    "a/../../b": "a valid config key must consist of",
    "/etc/passwd": "a valid config key must consist of",
    "": "a valid config key must consist of",
    "a\0b": "a valid config key must consist of",
    "a" * 254: "must be no more than 253 characters",
}
PATHS = {
    "..": "must not contain '..'",
    "..data": "must not start with '..'",
    "..2024_01_01_00_00_00.123": "must not start with '..'",
    "a/../../b": "must not contain '..'",
    "../b": "must not contain '..'",
    "a/..": "must not contain '..'",
    "/etc/passwd": "must be a relative path",
    "a\0b": "must not contain a NUL character",
}
UID = "6f6b2a4e-0000-4000-8000-000000000001"
SOURCES: dict[str, Any] = {
    "configMap": lambda path: {"configMap": {"name": "c", "items": [{"key": "k", "path": path}]}},
    "secret": lambda path: {"secret": {"secretName": "s", "items": [{"key": "k", "path": path}]}},
    "downwardAPI": lambda path: {
        "downwardAPI": {"items": [{"path": path, "fieldRef": {"fieldPath": "metadata.name"}}]}
    },
    "token": lambda path: {"projected": {"sources": [{"serviceAccountToken": {"path": path}}]}},
    "projected": lambda path: {"projected": {"sources": [{"configMap": {"items": [{"key": "k", "path": path}]}}]}},
}


@pytest.mark.parametrize(("key", "reason"), KEYS.items(), ids=ascii)
def test_the_api_refuses_such_a_key(key: str, reason: str) -> None:
    for errors in (
        validate_config_map({"data": {key: "x"}}),
        validate_config_map({"binaryData": {key: "eA=="}}),
        validate_secret({"data": {key: "eA=="}}),
    ):
        assert [reason in error.message for error in errors] == [True], errors


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("path", "reason"), PATHS.items(), ids=ascii)
def test_the_api_refuses_such_a_path(path: str, reason: str, source: str) -> None:
    def errors(path: str) -> list[str]:
        volume = {"name": "v", **SOURCES[source](path)}
        pod: dict[str, Any] = {"spec": {"containers": [{"name": "c", "image": "i"}], "volumes": [volume]}}
        default_pod(pod)
        return [error.message for error in validate_pod(pod)]

    assert [reason in error for error in errors(path)] == [True]
    assert errors("etc/..app/x..y") == [] and "Required" in errors("")[0]


@pytest.mark.parametrize("path", [*PATHS, ".", "./", "", "a/./../../../b", "../" * 20 + "etc/x"], ids=ascii)
def test_the_edge_writes_no_such_file(path: str, tmp_path: Path) -> None:
    volumes = LocalPodVolumes(tmp_path / "pods")
    made = Path(volumes.write(UID, "v", {"good": VolumeFile(data=b"good", mode=0o644)}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ContainerError, match="can not hold a file called"):
        volumes.write(UID, "v", {"good": VolumeFile(data=b"bad", mode=0o644), path: VolumeFile(data=b"x", mode=0o644)})
    assert sorted(tmp_path.rglob("*")) == before
    assert (made / "good").read_bytes() == b"good"
