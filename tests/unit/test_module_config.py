"""What a person sets for a module is there as it was meant; what does not fit is one sentence with file and key."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors import Backoff, Module, Overflow, RegistrationError, UsageError, on
from kubeedge_actors.config import CloudConfig, EdgeConfig
from kubeedge_actors.options.config_reader import read_config
from kubeedge_actors.plugins import plugin_specs, spec_found_from
from kubeedge_actors.supervisors import ActorSystem, ChildSpec, SupervisorSpec, ThreadsEngine
from kubeedge_actors.testing import crash_at, inline
from tests.support.waiting import PATIENCE

FILE = """
import msgspec
from kubeedge_actors import Module

class Limit(msgspec.Struct):
    high: float
    low: float = 0.0

class Sized(Module):
    name = "sized"
    class Config(msgspec.Struct):
        limit: float
        names: list[str] = []
        limits: dict[str, Limit] = {}
        rows: list[Limit] = []
        best: Limit | None = None

class Bare(Module):
    name = "bare"
"""


class Greeter(Module):
    """Answers as it is told."""

    name = "greeter"

    class Config(msgspec.Struct):
        greeting: str
        mark: str = "!"

    config: Config

    def __init__(self) -> None:
        self.prefix = self.config.greeting.upper()

    @on
    def on_name(self, name: str) -> str:
        return f"{self.prefix} {name}{self.config.mark}"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, with two modules."""
    (tmp_path / "own_file.py").write_text(FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("own_file", None)


def settings(folder: Path, text: str | dict[str, Any], name: str = "m.yaml") -> str:
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return str(path)


def made(spec: ChildSpec) -> Any:
    return spec.factory()


# --- in code --------------------------------------------------------------------------------------------------------


def test_an_instance_finds_its_config_already_when_it_is_made_and_after_a_crash() -> None:
    spec = Greeter.spec(config={"greeting": "hello"})
    with inline(crash_at(spec, 1)) as harness:
        assert harness.ask("greeter", "edge") == "HELLO edge!"
    with inline(Greeter, config=Greeter.Config("bye", mark=".")) as harness:
        assert harness.ask("greeter", "edge") == "BYE edge."


def test_an_instance_that_somebody_made_gets_it_too() -> None:
    class Plain(Module):
        name = "plain"

        class Config(msgspec.Struct):
            greeting: str = "hello"

    assert made(Plain.spec(Plain)).config == Plain.Config("hello")
    assert made(Plain.spec(lambda: Plain(), config={"greeting": "bye"})).config.greeting == "bye"


@pytest.mark.processes
def test_a_config_goes_to_another_process() -> None:
    system = ActorSystem(ThreadsEngine())
    spec = Greeter.spec(config={"greeting": "hello"}, isolation="process")
    system.start(SupervisorSpec("root", [spec]))
    try:
        assert system.ref("greeter").ask("edge", PATIENCE).get() == "HELLO edge!"
    finally:
        system.stop()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (None, "Greeter.config.greeting: it is required and not given"),
        ({"greeting": 5}, "Greeter.config.greeting: expected `str`, got `int`"),
        ({"greting": "x"}, "Greeter.config.greting: there is no such key; there are: greeting, mark"),
        (["x"], "Greeter.config: expected a mapping, got a list"),
    ],
)
def test_a_config_that_does_not_fit_is_one_sentence(config: object, sentence: str) -> None:
    with pytest.raises(RegistrationError, match=f"^{re.escape(sentence)}$"):
        Greeter.spec(config=config)


def test_a_class_that_is_no_struct_is_refused() -> None:
    with pytest.raises(RegistrationError, match=r"Config has to be a subclass of msgspec\.Struct"):

        class Wrong(Module):
            class Config:
                pass


def test_a_config_goes_with_a_class_in_a_test() -> None:
    with pytest.raises(TypeError, match=r"spec\(config=\.\.\.\)"):
        inline(Greeter.spec(config={"greeting": "x"}), config={"greeting": "y"})


# --- in a file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [EdgeConfig, CloudConfig])
def test_an_entry_of_the_configuration_file_may_be_a_mapping(site: Path, kind: Any) -> None:
    entry = {
        "class": "own_file:Sized",
        "config": {"limit": 80, "best": {"high": 3}},
        "process": True,
        "mailbox": {"capacity": 7, "overflow": "reject"},
        "handler-deadline": None,
        "max_deliveries": 5,
        "memory": "512Mi",
        "backoff": {"initial": 1.5},
    }
    config = read_config(kind, settings(site, {"modules": ["own_file:Bare", entry]}), {})
    bare, sized = plugin_specs(config.modules, config.module_config)
    assert (bare.name, bare.isolation, bare.handler_deadline) == ("bare", "", 30.0)
    assert (sized.isolation, sized.handler_deadline, sized.max_deliveries) == ("process", None, 5)
    assert (sized.mailbox.capacity, sized.mailbox.overflow) == (7, Overflow.REJECT)
    assert sized.memory == 512 << 20
    assert sized.backoff == Backoff(initial=1.5)
    assert (made(sized).config.limit, made(sized).config.best.high) == (80.0, 3.0)


def test_a_file_for_modules_finds_them_by_name_and_by_path_announced_ones_too(site: Path) -> None:
    (site / "acme-1.0.dist-info").mkdir()
    text = "[kubeedge_actors.modules]\nbare = own_file:Bare\n"
    (site / "acme-1.0.dist-info" / "entry_points.txt").write_text(text)
    file = settings(site, "own_file:Sized:\n  config: {limit: 1}\nbare:\n  max-deliveries: 9\n")
    given = {"modules": ("own_file:Sized@process",), "module_config": file}
    config = read_config(EdgeConfig, None, given)
    sized, bare = plugin_specs(config.modules, config.module_config)
    assert (sized.isolation, made(sized).config.limit, bare.max_deliveries) == ("process", 1.0, 9)


WRONG = [
    ("sized: {config: {limit: hot}}", "sized.config.limit in {file}: expected `float`, got `str`"),
    ("sized: {config: {limti: 1}}", "sized.config.limti in {file}: there is no such key; there are: limit, names, "),
    ("sized: {config: {}}", "sized.config.limit in {file}: it is required and not given"),
    ("sized: {}", "sized.config.limit in {file}: it is required and not given"),
    ("sized: {config: {limit: 1, names: x}}", "sized.config.names in {file}: expected a list, got `str`"),
    ("sized: {config: {limit: 1, best: {hgih: 2}}}", "sized.config.best.hgih in {file}: there is no such key"),
    ("sized: {config: {limit: 1, rows: [{high: 2, x: 1}]}}", "sized.config.rows[0].x in {file}: there is no such key"),
    ("sized: {config: {limit: 1, limits: {a: {b: 1}}}}", "sized.config.limits.a.b in {file}: there is no such key"),
    ("sized: {config: {limit: 1, rows: [{}]}}", "sized.config.rows[0].high in {file}: it is required and not given"),
    ("sized: {mailbox: {capacity: 0}}", "sized.mailbox.capacity in {file}: expected `int` >= 1"),
    ("sized: {mailbox: {overflow: wait}}", "sized.mailbox.overflow in {file}: invalid enum value 'wait'"),
    ("sized: {prozess: true}", "sized.prozess in {file}: there is no such key; there are: class, config, process, "),
    ("sized: {handler_deadline: 0}", "sized.handler_deadline in {file}: expected `float` > 0.0"),
    (
        "sized: {process: true, memory: much}",
        "sized.memory in {file}: 'much' is not a quantity of bytes, such as 256Mi",
    ),
    ("sized: {process: true, memory: 5Mi}", "sized.memory in {file}: 5Mi is less than the 64Mi that a process needs"),
    ("sized: {memory: 256Mi, config: {limit: 1}}", "sized.memory in {file}: a limit needs a process of its own"),
    ("sized: x", "sized in {file}: expected a mapping, got `str`"),
    ("sized: {class: own_file:Sized}", "sized.class in {file}: the module is named by its key here"),
    (
        "sized: {config: {limit: 1}}\nseized: {}",
        "seized in {file}: no module has this name or path; there are: sized, bare",
    ),
    ("bare: {config: {limit: 1}}\nsized: {config: {limit: 1}}", "bare.config in {file}: Bare has no class Config"),
    ("- x", "--module-config {file} is no mapping of names or paths"),
    ("a: [", "--module-config {file} is not YAML (line "),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_what_does_not_fit_is_one_sentence_with_file_and_key(site: Path, text: str, sentence: str) -> None:
    file = settings(site, text)
    with pytest.raises(UsageError) as raised:
        plugin_specs(("own_file:Sized", "own_file:Bare"), file)
    assert str(raised.value).startswith(sentence.format(file=file))
    assert "\n" not in str(raised.value)


def test_an_entry_of_the_configuration_file_is_named_by_its_number(site: Path) -> None:
    for entry, sentence in (
        ({"class": "own_file:Sized", "config": {"limit": "x"}}, "modules[1].config.limit in {file}: expected `float`"),
        ({"config": {}}, "modules[1].class in {file}: it is required and not given"),
    ):
        file = settings(site, {"modules": ["own_file:Bare", entry]})
        with pytest.raises(UsageError) as raised:
            plugin_specs(read_config(EdgeConfig, file, {}).modules)
        assert str(raised.value).startswith(sentence.format(file=file))


def test_a_module_that_needs_a_config_and_has_none_says_how_it_gets_one(site: Path) -> None:
    with pytest.raises(UsageError, match=r"Sized.config.limit: it is required and not given; --module-config gives it"):
        plugin_specs(("own_file:Sized",))


def test_a_module_is_set_in_one_place(site: Path) -> None:
    entry = {"class": "own_file:Sized", "config": {"limit": 1}}
    node, file = settings(site, {"modules": [entry]}, "node.yaml"), settings(site, {"sized": {"process": True}})
    config = read_config(EdgeConfig, node, {"module_config": file})
    with pytest.raises(UsageError, match=r"sized in .*m.yaml: modules\[0\] in .*node.yaml sets this module already"):
        plugin_specs(config.modules, config.module_config)


def test_a_module_that_is_added_while_it_runs_takes_its_part_of_a_file(site: Path) -> None:
    file = settings(site, "sized: {config: {limit: 4}}\nother: {}\n")
    assert made(spec_found_from("own_file:Sized", "", file)).config.limit == 4.0
    with pytest.raises(UsageError, match=r"has nothing for own_file:Bare: neither its name bare nor its path is a key"):
        spec_found_from("own_file:Bare", "", file)
    with pytest.raises(UsageError, match="can not be read"):
        spec_found_from("own_file:Bare", "", str(site / "nowhere.yaml"))
