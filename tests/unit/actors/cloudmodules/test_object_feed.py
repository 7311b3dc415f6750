"""ObjectFeed: whatever a slow module does not get to, it hears of the newest state of each object, and of each end."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kubeedge_actors.actors.cloudmodules.object_feed import WINDOW, ObjectFeed
from kubeedge_actors.wire.messages import ObjectChanged
from tests.support.plugins.hypothesis_profile import examples

TYPE = "v1/configmaps"


def change(operation: str, name: str = "a", version: int = 1, uid: str = "u") -> ObjectChanged:
    metadata = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": str(version)}
    return ObjectChanged(operation=operation, type=TYPE, object={"metadata": metadata})


def told(feed: ObjectFeed) -> list[tuple[str, str, str]]:
    """What is sent now, as operation, name and version."""
    metadata = [(each.operation, each.object["metadata"]) for each in feed.take()]
    return [(operation, about["name"], about["resourceVersion"]) for operation, about in metadata]


def test_changes_of_one_object_are_joined_while_one_is_under_way() -> None:
    feed = ObjectFeed()
    first = change("insert")
    feed.put(first)
    assert told(feed) == [("insert", "a", "1")]
    for version in (2, 3):
        feed.put(change("update", version=version))
    assert told(feed) == []
    feed.on_handled(first)
    assert told(feed) == [("update", "a", "3")]


def test_an_object_that_came_and_went_unheard_is_not_told() -> None:
    feed = ObjectFeed()
    feed.put(change("insert"))
    feed.put(change("delete", version=2))
    assert told(feed) == []


def test_what_was_dropped_is_told_again_joined_with_what_came_later() -> None:
    feed = ObjectFeed()
    first = change("insert")
    feed.put(first)
    feed.take()
    feed.put(change("update", version=2))
    feed.on_dropped(first)
    assert told(feed) == [("insert", "a", "2")]


def test_a_successor_of_a_deleted_object_is_an_update() -> None:
    feed = ObjectFeed()
    first = change("insert")
    feed.put(first)
    feed.take()
    feed.put(change("delete", version=2))
    feed.put(change("insert", version=3, uid="v"))
    feed.on_handled(first)
    assert told(feed) == [("update", "a", "3")]


def test_no_more_than_the_window_is_under_way() -> None:
    feed = ObjectFeed()
    for number in range(WINDOW + 5):
        feed.put(change("insert", name=str(number)))
    assert len(feed.take()) == WINDOW
    feed.on_handled(change("insert", name="0"))
    assert len(feed.take()) == 1


def test_a_new_incarnation_hears_of_all_and_of_the_end_of_what_is_in_its_mailbox() -> None:
    feed = ObjectFeed()
    gone, handled = change("insert", name="gone"), change("insert", name="there")
    feed.put(gone)
    feed.put(handled)
    feed.take()
    feed.on_handled(handled)
    feed.on_relist(anew=True)
    feed.put(change("insert", name="there"))
    feed.on_synced(TYPE)
    assert told(feed) == [("insert", "there", "1")]
    feed.on_handled(gone)
    assert told(feed) == [("delete", "gone", "1")]


def test_after_a_crash_of_its_owner_the_same_incarnation_hears_what_it_missed() -> None:
    feed = ObjectFeed()
    for name in ("gone", "there"):
        feed.put(change("insert", name=name))
    feed.take()
    feed.on_relist(anew=False)
    feed.put(change("insert", name="there", version=2))
    feed.on_synced(TYPE)
    assert told(feed) == [("update", "there", "2"), ("delete", "gone", "1")]


def test_a_version_that_crashes_the_module_too_often_is_not_told_again_and_the_next_one_is() -> None:
    feed = ObjectFeed()
    poison = change("insert")
    feed.put(poison)
    feed.take()
    feed.on_relist(anew=True)
    feed.put(poison)
    feed.on_poison(poison)
    feed.put(poison)
    assert told(feed) == []
    feed.put(change("update", version=2))
    assert [version for _, _, version in told(feed)] == ["2"]


class Listener:
    """A module's picture of the objects, as it is told."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}

    def hear(self, message: ObjectChanged) -> None:
        """Take it in."""
        metadata = message.object["metadata"]
        if message.operation == "delete":
            self.objects.pop(metadata["name"], None)
        else:
            self.objects[metadata["name"]] = metadata["resourceVersion"]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from("abc")),
        st.tuples(st.just("delete"), st.sampled_from("abc")),
        st.tuples(st.sampled_from(["handle", "drop", "send", "restart", "owner"]), st.just("")),
    ),
    max_size=40,
)


@settings(max_examples=examples(300))
@given(steps)
def test_whatever_happens_the_picture_is_right_in_the_end(happened: list[tuple[str, str]]) -> None:
    feed, listener, mailbox = ObjectFeed(), Listener(), list[ObjectChanged]()
    objects: dict[str, int] = {}

    def relist(*, anew: bool) -> None:
        feed.on_relist(anew=anew)
        for name, at in objects.items():
            feed.put(change("insert", name, at))
        feed.on_synced(TYPE)

    def handle() -> None:
        message: Any = mailbox.pop(0)
        listener.hear(message)
        feed.on_handled(message)

    for version, (what, name) in enumerate(happened, 1):
        if what == "write":
            feed.put(change("update" if name in objects else "insert", name, version))
            objects[name] = version
        elif what == "delete" and name in objects:
            feed.put(change("delete", name, version))
            del objects[name]
        elif what == "send":
            mailbox += feed.take()
        elif what == "handle" and mailbox:
            handle()
        elif what == "drop" and mailbox:
            feed.on_dropped(mailbox.pop(0))
        elif what == "restart":
            listener = Listener()
            relist(anew=True)
        elif what == "owner":
            while mailbox:
                handle()
            relist(anew=False)
    while mailbox or (fresh := feed.take()):
        if not mailbox:
            mailbox += fresh
        handle()
    assert listener.objects == {name: str(at) for name, at in objects.items()}
