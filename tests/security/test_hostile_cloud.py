"""A cloud may tell a node what to run; it may not bring the edge down, nor write beside its data directory. `make attack` has all pods."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from kubeedge_actors.wire import constants as n
from tests.security.hostile_cloud import Victim, evil_objects, evil_pods, victim, wrong_frames

pytestmark = pytest.mark.processes
PODS, FLOOD = 300, 3_000


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with victim(tmp_path_factory.mktemp("victim")) as made:
        yield made


def test_names_that_lead_elsewhere_leave_everything_beside_the_data_directory_as_it_was(edge: Victim) -> None:
    before = edge.outside_files()
    edge.push_pods(random.Random(12).sample(list(evil_pods(edge.outside)), PODS))
    for type, object in evil_objects(edge.outside):
        edge.cloud.push(n.INSERT, f"default/{type}/x", object)
    edge.settle()
    assert edge.side.runs
    assert edge.outside_files() == before


def test_frames_of_every_sort_with_contents_that_they_do_not_have(edge: Victim) -> None:
    for source, group, operation, resource, content in wrong_frames():
        edge.cloud.push(operation, resource, content, source, group)
    edge.settle()
    assert edge.side.runs


def test_a_flood(edge: Victim) -> None:
    for number in range(FLOOD):
        metadata = {"name": "flood", "namespace": "default", "uid": "1", "resourceVersion": str(number + 1)}
        edge.cloud.push(n.UPDATE, f"default/{n.CONFIGMAP}/flood", {"metadata": metadata, "data": {"key": "x" * 1_000}})
    edge.settle()
    assert edge.side.runs
