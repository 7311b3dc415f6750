"""Limits of what a pod keeps on the machine: sizes of volumes in memory, and a kubelet's words for an eviction."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.actors.edged.pod.pod_spec import PodView, parse_pod
from kubeedge_actors.actors.edged.runtime.pod_config_references import ConfigError
from kubeedge_actors.actors.edged.runtime.storage_limits import (
    StorageUse,
    eviction_message,
    has_storage_limits,
    memory_volume_bytes,
)
from tests.support.env.edged import pod

MACHINE = 1 << 32


def view(limits: list[dict[str, str]] | None = None, **source: Any) -> PodView:
    names = ("main", "beside")
    containers = [
        {"name": name, "image": "a", "resources": {"limits": limit}}
        for name, limit in zip(names, limits or [{}], strict=False)
    ]
    return parse_pod(pod(containers=containers, volumes=[{"name": "cache", "emptyDir": source}]))


@pytest.mark.parametrize(("limits", "size", "bytes"), [
    ([{}], None, MACHINE),
    ([{}], "64Mi", 64 << 20),
    ([{"memory": "1Gi"}, {"memory": "1Gi"}], None, 2 << 30),
    ([{"memory": "1Gi"}, {"memory": "1Gi"}], "3Gi", 2 << 30),
    ([{"memory": "1Gi"}, {}], "100Gi", MACHINE),
])  # fmt: skip
def test_a_volume_in_memory_is_as_large_as_the_least_limit(limits: Any, size: str | None, bytes: int) -> None:
    made = view(limits, medium="Memory", sizeLimit=size)
    assert memory_volume_bytes(made, made.spec["volumes"][0], MACHINE) == bytes
    assert not has_storage_limits(made)


@pytest.mark.parametrize(("made", "volumes", "containers", "text"), [
    (view(sizeLimit="1Mi"), 1 << 20, 9 << 20, ""),
    (view(sizeLimit="1Mi"), (1 << 20) + 1, 0, 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". '),
    (view([{"ephemeral-storage": "1Mi"}, {}]), 9 << 20, 1 << 20, ""),
    (view([{"ephemeral-storage": "1Mi"}, {}]), 0, 2 << 20, 'Container main exceeded its local ephemeral storage limit "1Mi". '),
    (view([{"ephemeral-storage": "1Mi"}]), 1 << 20, 1, "Pod ephemeral local storage usage exceeds the total limit of containers 1048576. "),
])  # fmt: skip
def test_a_pod_over_a_limit_is_evicted_in_a_kubelets_words(
    made: PodView, volumes: int, containers: int, text: str
) -> None:
    assert has_storage_limits(made)
    assert eviction_message(made, StorageUse({"cache": volumes}, {"main": containers})) == text


def test_a_quantity_that_is_none_is_an_error_and_no_limit() -> None:
    made = view(medium="Memory", sizeLimit="much")
    with pytest.raises(ConfigError):
        memory_volume_bytes(made, made.spec["volumes"][0], MACHINE)
    assert not has_storage_limits(view(sizeLimit="much"))
