"""The front door: what it shows, where that comes from, and what it costs to open."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import kubeedge_actors
from kubeedge_actors import actorsystem, errors, module, supervisors
from kubeedge_actors.wire import messages

MESSAGES = """
    TwinUpdated TwinUpdate TwinGet TwinHistoryGet DeviceStateUpdate DeviceChanged
    TwinQuery TwinAnswer PropertyTwin PropertyValue
    MqttPublish MqttReceived MqttSubscribe MqttUnsubscribe
    PodChanged ListPods ObjectPushed Response ErrorResponse BusPublish BusUploaded LinkUp LinkDown
    UnknownMessage Message NodeConnected NodeDisconnected ObjectChanged
"""
SUPERVISION = """
    Ref Future ReplyTo Timer Unhandled
    ThreadsEngine InlineEngine ChildSpec SupervisorSpec Restart OneForOne OneForAll RestForOne Intensity
    Backoff MailboxSpec Overflow
"""
ERRORS = "KubeEdgeActorsError UsageError RegistrationError MailboxError MailboxFull ActorStopped AskTimeout AnswerLost SupervisionError NotFound Conflict Forbidden"
GROUPS: dict[ModuleType, str] = {
    module: "Module on",
    messages: MESSAGES,
    supervisors: SUPERVISION,
    actorsystem: "ActorSystem",
    errors: ERRORS,
}


@pytest.mark.parametrize("home", GROUPS, ids=lambda each: each.__name__)
def test_each_name_is_the_thing_of_its_home(home: ModuleType) -> None:
    for name in GROUPS[home].split():
        assert getattr(kubeedge_actors, name) is getattr(home, name)


def test_nothing_else_is_shown_and_nothing_is_missing() -> None:
    shown = {name for names in GROUPS.values() for name in names.split()}
    assert shown | {"__version__"} == set(kubeedge_actors.__all__)
    assert len(kubeedge_actors.__all__) == len(shown) + 1
    assert shown <= set(dir(kubeedge_actors))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Modul'"):
        kubeedge_actors.Modul  # noqa: B018
    with pytest.raises(ImportError):
        from kubeedge_actors import NoSuchThing  # noqa: F401


def test_an_old_name_is_the_new_thing_for_one_release_and_says_so() -> None:
    for old, new in kubeedge_actors._RENAMED.items():
        with pytest.warns(DeprecationWarning, match=f"{old} is now {new}"):
            assert getattr(kubeedge_actors, old) is getattr(kubeedge_actors, new)
        assert old not in dir(kubeedge_actors)


def test_a_star_import_works() -> None:
    found: dict[str, object] = {}
    exec("from kubeedge_actors import *", found)
    assert found["Module"] is module.Module


def loaded(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after the statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_the_front_door_itself_loads_nothing() -> None:
    after = loaded("import kubeedge_actors")
    assert {each for each in after if each.startswith("kubeedge_actors")} == {"kubeedge_actors"}


def test_a_module_loads_no_library_that_an_idle_edge_does_not_use() -> None:
    after = loaded("from kubeedge_actors import Module, on, TwinUpdated, MqttPublish, ActorSystem, ThreadsEngine")
    heavy = """
        asyncio docker cryptography yaml http.server email urllib.request thespian textual peewee amqtt ssl
        importlib.metadata
    """
    assert not after & set(heavy.split())


def test_every_name_of_the_supervisors_island_exists() -> None:
    assert all(hasattr(supervisors, name) for name in supervisors.__all__)
    assert len(set(supervisors.__all__)) == len(supervisors.__all__)


def test_the_page_of_messages_has_each_of_them_with_its_fields() -> None:
    import msgspec

    import kubeedge_actors

    page = (Path(__file__).parents[2] / "docs" / "reference" / "messages.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|([^|]*)\|", page, re.MULTILINE))
    shown = {name: getattr(kubeedge_actors, name) for name in kubeedge_actors.__all__}
    messages = {
        name: each for name, each in shown.items() if isinstance(each, type) and issubclass(each, msgspec.Struct)
    }
    assert rows.keys() == messages.keys() - {"Message"}
    envelope = ["node", "msg_id", "timestamp"]
    for name, fields in rows.items():
        own = messages[name].__annotations__
        hidden = (
            [field for field in envelope if field not in own]
            if issubclass(messages[name], kubeedge_actors.Message)
            else []
        )
        told = [field for field in msgspec.structs.fields(messages[name]) if field.name not in hidden]
        assert re.findall(r"`(\w+)`", fields) == [field.name for field in told], name
