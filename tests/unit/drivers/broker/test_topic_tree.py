"""The tree of topics finds what a plain look at all of them finds, and looks at no more than it must."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.drivers.broker.packets import Publish
from kubeedge_actors.drivers.broker.topics.retained import RetainedMessages
from kubeedge_actors.drivers.broker.topics.topic_tree import TopicTree
from kubeedge_actors.mqtt_topics import matches, valid_filter, valid_topic

LEVEL_NAMES = st.sampled_from(["a", "b", "", "$", "$x", "+", "#", "ä"])
PATHS = st.lists(LEVEL_NAMES, min_size=1, max_size=5).map("/".join)
TOPICS, FILTERS = PATHS.filter(valid_topic), PATHS.filter(valid_filter)


@given(st.lists(st.tuples(TOPICS, st.booleans()), max_size=30), st.lists(FILTERS, min_size=1, max_size=5))
def test_what_is_retained_is_found_as_by_the_definition(steps: list[tuple[str, bool]], filters: list[str]) -> None:
    messages, model = RetainedMessages(), dict[str, Publish]()
    for number, (topic, kept) in enumerate(steps):
        message = Publish(topic, str(number).encode() if kept else b"")
        assert messages.set(message) is (kept or topic in model)
        if kept:
            model[topic] = message
        else:
            model.pop(topic, None)
    assert len(messages) == len(model)
    for filter in filters:
        found = [message for message in messages.matching(filter) if message is not None]
        assert sorted(found) == sorted(message for topic, message in model.items() if matches(filter, topic))


@given(st.sets(FILTERS), TOPICS, st.data())
def test_the_filters_that_match_a_topic_are_found_as_by_the_definition(
    filters: set[str], topic: str, data: st.DataObject
) -> None:
    tree: TopicTree[str] = TopicTree()
    for filter in sorted(filters):
        tree.set(filter, filter)
    gone = data.draw(st.sets(st.sampled_from(sorted(filters)))) if filters else set()
    for filter in sorted(gone):
        tree.delete(filter)
    left = filters - gone
    assert sorted(tree.filters_matching(topic)) == sorted(each for each in left if matches(each, topic))
    assert (
        tree.level_count == len({tuple(each.split("/")[:n]) for each in left for n in range(1, 201)} - {()}) or not left
    )
    for filter in sorted(left):
        tree.delete(filter)
    assert tree.level_count == 0


@given(st.sets(TOPICS, min_size=1), st.sets(TOPICS), FILTERS, st.lists(st.lists(TOPICS, max_size=4), max_size=12))
def test_a_tree_that_changes_between_two_steps_gives_once_what_was_there_all_the_time(
    kept: set[str], others: set[str], filter: str, changes: list[list[str]]
) -> None:
    tree: TopicTree[tuple[str, int]] = TopicTree()
    for topic in sorted(kept | others):
        tree.set(topic, (topic, 0))
    found = list[str]()
    for step, value in enumerate(tree.walk(filter), 1):
        if value is not None:
            assert tree.get(value[0]) == value  # never one that is gone or has another in its place
            found.append(value[0])
        for topic in changes[step - 1] if step <= len(changes) else ():
            if topic in kept:
                continue
            if step % 2 and tree.get(topic) is not None:
                tree.delete(topic)
            else:
                tree.set(topic, (topic, step))
    assert {topic for topic in kept if matches(filter, topic)} <= set(found)
    assert len(found) == len(set(found)) and all(matches(filter, topic) for topic in found)


@pytest.mark.parametrize(("filter", "steps"), [
    ("nothing/1", 1),
    ("r/7/x", 4),
    ("r/+/nothing", 10_002),
    ("r/#", 20_002),
])  # fmt: skip
def test_a_filter_costs_what_it_looks_at_and_not_all_that_there_is(filter: str, steps: int) -> None:
    tree: TopicTree[int] = TopicTree()
    for number in range(10_000):
        tree.set(f"r/{number}/x", number)
    assert sum(1 for _ in tree.walk(filter)) == steps
