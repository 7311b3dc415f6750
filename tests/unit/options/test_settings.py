"""One table: every setting is an option and a key, of one name, read and refused alike; where one is missing, the table says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.config import CloudConfig, EdgeConfig
from kubeedge_actors.errors import UsageError
from kubeedge_actors.options.cloud import CLOUD
from kubeedge_actors.options.config_reader import file_settings
from kubeedge_actors.options.edge import EDGE
from kubeedge_actors.options.parsers import parser
from kubeedge_actors.options.setting import Setting, SettingsTable
from kubeedge_actors.options.value_kinds import YES_OR_NO

TABLES = {"cloud": CLOUD, "edge": EDGE}
READ: dict[str, Callable[[str], dict[str, Any]]] = {
    "cloud": partial(file_settings, CloudConfig),
    "edge": partial(file_settings, EdgeConfig),
}
SETTINGS = [pytest.param(name, each, id=f"{name}-{each.name}") for name, table in TABLES.items() for each in table]
GOOD: dict[str, Any] = {
    "https://HOST:10002": "https://cloud.example:10002",
    "URL": "wss://cloud.example:1",
    "PORT": 8080,
    "NUMBER": 7,
    "SECONDS": 2.5,
    "SIZE": "64Ki",
    "NAME=VALUE": "room=hall",
    "HOST:PORT": "127.0.0.1:1234",
    "{0,1,2}": 1,
    "{auto,docker,process}": "docker",
    "{debug,info,warning,error}": "info",
}
BAD: dict[str, list[Any]] = {
    "PORT": [65536, "many", -1],
    "NUMBER": [0, "few"],
    "SECONDS": [0, "soon", "inf"],
    "SIZE": [0, -1, "much", "1Zi"],
    "NAME=VALUE": ["room"],
    "HOST:PORT": ["nowhere"],
    "{0,1,2}": [3, "both"],
    "{auto,docker,process}": ["podman"],
    "{debug,info,warning,error}": ["loud"],
}


def good(setting: Setting) -> Any:
    """A value that fits."""
    if setting.kind is YES_OR_NO:
        return True
    if setting.name == "cloud":
        return GOOD["https://HOST:10002"]
    return GOOD.get(setting.kind.metavar, "x")


def by_option(command: str, *words: str) -> dict[str, Any]:
    return TABLES[command].parse_options(parser(command).parse_args(words))


def by_file(command: str, folder: Path, key: str, value: Any) -> dict[str, Any]:
    path = folder / "settings.yaml"
    path.write_text(f"{key}: {value if not isinstance(value, bool) else str(value).lower()}\n", encoding="utf-8")
    return READ[command](str(path))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_what_the_program_goes_by_is_what_the_table_has(table: SettingsTable) -> None:
    names = [setting.field for setting in table]
    assert len(set(names)) == len(names)
    assert set(names) - {"config"} == {field.name for field in fields(table.config)}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_only_these_have_no_option_or_no_key_and_the_table_says_why(table: SettingsTable) -> None:
    assert {setting.name for setting in table if setting.no_option} <= {"mqtt-password"}
    assert {setting.name for setting in table if setting.no_key} == {"config"}
    assert not [setting.name for setting in table if setting.no_option and setting.no_key]


@pytest.mark.parametrize(("command", "setting"), SETTINGS)
def test_option_and_key_say_the_same(command: str, setting: Setting, tmp_path: Path) -> None:
    value = good(setting)
    if setting.no_key:
        with pytest.raises(UsageError, match=f"{setting.name} in .*: it is no key: "):
            by_file(command, tmp_path, setting.name, value)
        return
    written = by_file(command, tmp_path, setting.name, f"[{value}]" if setting.kind.many else value)
    assert written.keys() == {setting.field}
    assert by_file(command, tmp_path, setting.name.replace("-", "_"), f"[{value}]" if setting.kind.many else value)
    if not setting.no_option:
        assert setting.flag.lstrip("-") in (setting.name, setting.name.removesuffix("s"))
        words = [setting.flag] if setting.kind is YES_OR_NO else [setting.flag, str(value)]
        assert by_option(command, *words) == written


@pytest.mark.parametrize(("command", "setting"), SETTINGS)
def test_a_value_that_does_not_fit_is_refused_by_one_sentence_with_the_name(
    command: str, setting: Setting, tmp_path: Path
) -> None:
    for value in BAD.get(setting.kind.metavar, []):
        with pytest.raises(UsageError) as option:
            by_option(command, f"{setting.flag}={value}")
        with pytest.raises(UsageError) as key:
            by_file(command, tmp_path, setting.name, f"['{value}']" if setting.kind.many else value)
        message = str(option.value).removeprefix(f"{setting.flag}: ")
        assert str(key.value) == f"{setting.name} in {tmp_path / 'settings.yaml'}: {message}"


def test_yes_and_no_can_be_said_by_both(tmp_path: Path) -> None:
    assert by_option("edge", "--no-streams") == by_file("edge", tmp_path, "streams", False) == {"streams": False}
    assert by_option("cloud", "--in-cluster") == {"in_cluster": True}
    with pytest.raises(UsageError, match="'perhaps' is neither true nor false"):
        by_file("edge", tmp_path, "streams", "perhaps")


def test_an_option_whose_value_may_be_left_out_is_true_in_a_file(tmp_path: Path) -> None:
    assert by_option("edge", "--dmi") == by_file("edge", tmp_path, "dmi", True) == {"dmi": "dmi.sock"}
    assert by_file("edge", tmp_path, "metaserver", False) == {"metaserver": ""}


def test_a_list_is_an_option_that_may_be_repeated(tmp_path: Path) -> None:
    written = by_file("edge", tmp_path, "labels", "[a=1, b=2]")
    assert by_option("edge", "--label", "a=1", "--label", "b=2") == written == {"labels": ("a=1", "b=2")}


@pytest.mark.parametrize("name", ["Edge_1", "-a", "a b", ""])
def test_a_name_that_no_node_can_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"--name: .* is no name of a node"):
        by_option("edge", f"--name={name}")
