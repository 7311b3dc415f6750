"""Modules of one's own are found by path, in a configuration file, and where installed packages announce them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.config import CloudConfig, EdgeConfig
from kubeedge_actors.errors import UsageError
from kubeedge_actors.options.config_reader import file_settings, merge_config
from kubeedge_actors.plugins import entry_point_paths, plugin_specs, spec_found_from

MODULE = "from kubeedge_actors import Module\nclass {name}(Module):\n    name = {actor!r}\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, with two modules in files of their own."""
    for name in ("One", "Two"):
        (tmp_path / f"own_{name.lower()}.py").write_text(MODULE.format(name=name, actor=name.lower()))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [each for each in sys.modules if each.startswith("own_")]:
        del sys.modules[name]


def announce(site: Path, *lines: str, package: str = "acme-1.0.dist-info") -> None:
    """As pip does when it installs a package."""
    (site / package).mkdir()
    text = "\n".join(["[console_scripts]", "acme = acme:main", "", "[kubeedge_actors.modules]", *lines])
    (site / package / "entry_points.txt").write_text(text)


def names(*paths: str) -> list[str]:
    return [spec.name for spec in plugin_specs(paths)]


def test_modules_are_found_by_path_and_by_announcement_each_once(site: Path) -> None:
    announce(site, "two = own_two:Two", "one = own_one:One")
    assert entry_point_paths()[:2] == ["own_two:Two", "own_one:One"]
    assert names("own_one:One", "own_one:One") == ["one", "two"]
    assert names() == ["two", "one"]


def test_an_announced_module_that_can_not_be_loaded_is_a_warning(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    announce(site, "gone = own_gone:Gone")
    with caplog.at_level(logging.WARNING):
        assert names("own_one:One") == ["one"]
    assert "own_gone:Gone" in caplog.text


def test_two_modules_of_one_name_are_named_both(site: Path) -> None:
    (site / "own_three.py").write_text(MODULE.format(name="Three", actor="one"))
    files = [re.escape(str(site / f"own_{each}.py")) for each in ("one", "three")]
    both = rf"two modules are called 'one': own_one:One \({files[0]}\) and own_three:Three \({files[1]}\)"
    with pytest.raises(UsageError, match=both):
        names("own_one:One", "own_three:Three")


def test_a_module_may_be_in_the_folder_of_who_asks_for_it(
    site: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", list(sys.path))
    tmp_path = tmp_path_factory.mktemp("elsewhere")
    (tmp_path / "own_elsewhere.py").write_text(MODULE.format(name="Elsewhere", actor="elsewhere"))
    before = list(sys.path)
    with pytest.raises(UsageError, match=rf"looked in .*{re.escape(str(tmp_path))}"):
        spec_found_from("own_nowhere:Nowhere", str(tmp_path))
    assert sys.path == before
    assert spec_found_from("own_elsewhere:Elsewhere", str(tmp_path)).name == "elsewhere"
    assert sys.path == [*before, str(tmp_path)]
    assert spec_found_from("own_elsewhere:Elsewhere", "").name == "elsewhere"


def test_what_is_no_package_is_passed_over(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "empty-1.dist-info").mkdir()
    monkeypatch.setattr("sys.path", [str(site / "nowhere"), str(site)])
    assert entry_point_paths() == []


# --- the configuration file -----------------------------------------------------------------------------------------


def file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "node.yaml"
    path.write_text(text)
    return str(path)


def test_a_file_of_ours_has_the_options_as_keys(tmp_path: Path) -> None:
    text = "name: e\nmqtt-port: 1884\ndata_dir: D\nmodules: [own_one:One, own_two:Two]\nheartbeat: 5\n"
    config = merge_config(EdgeConfig, file_settings(EdgeConfig, file(tmp_path, text)), {"mqtt_port": 1885})
    assert (config.name, config.mqtt_port, config.heartbeat) == ("e", 1885, 5.0)
    assert config.modules == ("own_one:One", "own_two:Two")
    assert config.data_dir == Path("D").absolute()
    assert merge_config(CloudConfig, file_settings(CloudConfig, file(tmp_path, "modules: [a:B]")), {}).modules == (
        "a:B",
    )


@pytest.mark.parametrize("port", [65536, 99999, -1])
def test_a_port_that_there_is_not_is_a_mistake_of_the_person(tmp_path: Path, port: int) -> None:
    with pytest.raises(UsageError, match=rf"--mqtt-port: {port} is no port: 0 to 65535"):
        merge_config(EdgeConfig, {}, {"mqtt_port": port})
    with pytest.raises(UsageError, match=rf"api-port in .*: {port} is no port"):
        merge_config(CloudConfig, file_settings(CloudConfig, file(tmp_path, f"api-port: {port}")), {})
    assert merge_config(CloudConfig, {}, {}).tunnel_port == -1, "what a default says is no mistake"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nmae: e", "has the unknown key 'nmae'; there are: .*mqtt-port"),
        ("mqtt-port: many", "mqtt-port in .*node.yaml: 'many' is no port: 0 to 65535"),
        ("mqtt-port: [1]", r"\[1\] is no port"),
        ("name:", "None is no name of a node"),
        ("mqtt-port: true", "True is no port"),
        ("modules: own_one:One", "modules in .*: 'own_one:One' is no list of paths and mappings"),
        ("modules: [1]", r"\[1\] is no list of paths and mappings"),
    ],
)
def test_a_mistake_in_it_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        file_settings(EdgeConfig, file(tmp_path, text))


def test_kubeedges_file_is_still_read_as_such(tmp_path: Path) -> None:
    text = "modules: {edged: {hostnameOverride: e}}"
    assert file_settings(EdgeConfig, file(tmp_path, text)) == {"name": "e"}
    assert file_settings(EdgeConfig, file(tmp_path, "kind: EdgeCore\n")) == {}
