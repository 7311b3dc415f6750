"""What the scheduler makes of the changes that it is told, in whatever order they come."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.actors.scheduler.cache import SchedulerCache
from kubeedge_actors.actors.scheduler.pod_info import PodInfo
from kubeedge_actors.drivers.cluster.base import EventType, WatchEvent
from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND
from tests.support.k8s_objects import condition, node, pod

Json = dict[str, Any]


def known(object: Json, uid: str = "1") -> Json:
    """The object as a watch tells it."""
    return {**object, "metadata": {"namespace": "default", "uid": uid, **object["metadata"]}}


def pod_change(object: Json, operation: EventType = EventType.MODIFIED) -> WatchEvent:
    return WatchEvent(POD_KIND, operation, object)


def node_change(object: Json, operation: EventType = EventType.MODIFIED) -> WatchEvent:
    return WatchEvent(NODE_KIND, operation, object)


def with_pod(object: Json) -> tuple[SchedulerCache, PodInfo]:
    picture = SchedulerCache()
    picture.apply(pod_change(object))
    (pod_info,) = picture.pods()
    picture.dirty = False
    return picture, pod_info


def test_a_pod_that_was_bound_stays_bound_when_an_older_state_is_told() -> None:
    older = known(pod("p"))
    picture, waiting = with_pod(older)
    picture.assume(waiting, "edge-1")
    picture.apply(pod_change({**older, "metadata": {**older["metadata"], "labels": {"a": "b"}}}))
    assert [pod_info.node for pod_info in picture.pods()] == ["edge-1"]
    assert not picture.has_pending and not picture.dirty


def test_the_echo_of_a_binding_is_no_news() -> None:
    picture, waiting = with_pod(known(pod("p", cpu="1", priority=3)))
    picture.assume(waiting, "edge-1")
    picture.apply(pod_change(known(pod("p", cpu="1", node="edge-1", priority=3))))
    assert not picture.dirty


def test_another_pod_of_the_name_waits_again() -> None:
    picture, waiting = with_pod(known(pod("p")))
    picture.assume(waiting, "edge-1")
    picture.apply(pod_change(known(pod("p"), uid="2")))
    assert picture.has_pending and picture.dirty and not picture.is_pending(waiting)


@pytest.mark.parametrize("change", [{"labels": {"a": "b"}}, {"annotations": {"a": "b"}}, {"resourceVersion": "9"}])
def test_what_no_decision_depends_on_is_no_news(change: Json) -> None:
    picture, _ = with_pod(known(pod("p")))
    picture.apply(node_change(node("edge-1")))
    picture.dirty = False
    object = known(pod("p"))
    picture.apply(pod_change({**object, "metadata": {**object["metadata"], **change}}))
    beating = node("edge-1")
    beating["status"]["conditions"] = [condition("Ready", "True", lastHeartbeatTime="now", reason="EdgeReady")]
    picture.apply(node_change(beating))
    assert not picture.dirty


def test_the_echo_of_a_refusal_is_no_news_but_is_remembered() -> None:
    picture, waiting = with_pod(known(pod("p")))
    picture.set_last_fit_error(waiting, "no")
    assert picture.last_fit_error(waiting) == "no"
    refused = {**known(pod("p")), "status": {"conditions": [condition("PodScheduled", "False", message="never")]}}
    picture.apply(pod_change(refused))
    assert picture.last_fit_error(waiting) == "never" and not picture.dirty


def test_a_pod_set_aside_is_left_out_until_it_changes_or_all_are_looked_at_again() -> None:
    picture, waiting = with_pod(known(pod("p")))
    picture.move_to_unschedulable(waiting)
    assert list(picture.pods()) == [] and picture.has_pending
    picture.flush_unschedulable()
    assert list(picture.pods()) == [waiting] and picture.dirty
    picture.move_to_unschedulable(waiting)
    picture.apply(pod_change(known(pod("p", tolerations=[{"operator": "Exists"}]))))
    assert len(list(picture.pods())) == 1


def test_a_pod_that_is_gone_or_over_takes_no_room() -> None:
    picture, waiting = with_pod(known(pod("p")))
    picture.apply(pod_change(known(pod("p")), EventType.DELETED))
    assert not picture.has_pending and not picture.is_pending(waiting)
    picture, _ = with_pod(known(pod("p", node="edge-1")))
    picture.apply(pod_change({**known(pod("p", node="edge-1")), "status": {"phase": "Succeeded"}}))
    assert list(picture.pods()) == [] and picture.dirty


def test_an_object_that_can_not_be_read_is_as_good_as_gone() -> None:
    picture, _ = with_pod(known(pod("p")))
    with pytest.raises(ValueError):
        picture.apply(pod_change(known(pod("p", cpu="many"))))
    assert not picture.has_pending
    picture.apply(node_change(node("edge-1")))
    picture.dirty = False
    with pytest.raises(ValueError):
        picture.apply(node_change(node("edge-1", cpu="many")))
    assert picture.nodes == {} and picture.dirty
