"""Modules of one's own: where a process finds them. By path (`--module`, `modules:` in the configuration file), and those that installed
packages announce by the entry-point group `kubeedge_actors.modules`. What is set for them: module_settings.py.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import UNSET

from kubeedge_actors.config import ModuleEntry
from kubeedge_actors.errors import KubeEdgeActorsError, RegistrationError, UsageError
from kubeedge_actors.module import ENTRY_POINTS, Module, load_module
from kubeedge_actors.module_config import read_config
from kubeedge_actors.module_settings import PlacedSettings, read_settings, read_settings_file
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.supervisors.registry import origin

log = logging.getLogger(__name__)
DESCRIPTIONS = (".dist-info", ".egg-info")


def plugin_specs(modules: Sequence[str | ModuleEntry], config_file: str = "") -> list[ChildSpec]:
    """The specs of these modules, then of the announced ones that are not among them; `config_file`: what is set for some of them.

    UsageError when a path or a setting is wrong, or two have one name. An installed package whose module can not be loaded is a warning:
    the node starts without it.
    """
    settings = read_settings_file(config_file) if config_file else {}
    unused = dict(settings)
    specs = [(path, _spec(path, entry, unused)) for path, entry in _entries(modules).items()]
    given = {path.partition("@")[0] for path, _ in specs}
    for path in entry_point_paths():
        if path not in given:
            try:
                specs.append((path, _spec(path, None, unused)))
            except UsageError as error:
                log.warning("an installed package announces a module that can not be used: %s", error)
    for key in unused:
        known = ", ".join(spec.name for _, spec in specs) or "none"
        raise UsageError(f"{key} in {config_file}: no module has this name or path; there are: {known}")
    _check_names(specs)
    return [spec for _, spec in specs]


def _entries(modules: Iterable[str | ModuleEntry]) -> dict[str, PlacedSettings | None]:
    """What is set at the place where a module is named, by its path; the first one counts."""
    entries: dict[str, PlacedSettings | None] = {}
    for module in modules:
        if isinstance(module, str):
            entries.setdefault(module, None)
            continue
        entry = read_settings(module.settings, module.place, module.file)
        if not entry.settings.path:
            raise UsageError(f"{module.place}.class in {module.file}: it is required and not given")
        entries.setdefault(entry.settings.path, entry)
    return entries


def _check_names(specs: Iterable[tuple[str, ChildSpec]]) -> None:
    known: dict[str, str] = {}
    for path, spec in specs:
        place = f"{path} ({origin(spec).rpartition(' in ')[2]})"
        if spec.name in known:
            raise UsageError(f"two modules are called {spec.name!r}: {known[spec.name]} and {place}")
        known[spec.name] = place


def _spec(path: str, entry: PlacedSettings | None, unused: dict[str, PlacedSettings]) -> ChildSpec:
    """The spec of one module; what the file of `--module-config` has for it is taken out of `unused`."""
    where, _, isolation = path.partition("@")
    if isolation not in ("", "thread", "process"):
        raise UsageError(f"a module runs @thread or @process, not @{isolation}: {path!r}")
    module = load_module(where)
    for key in (path, where, module.name):
        if (other := unused.pop(key, None)) is not None:
            if entry is not None:
                raise UsageError(
                    f"{other.place} in {other.file}: {entry.place} in {entry.file} sets this module already"
                )
            entry = other
    try:
        return _configured_spec(module, isolation, entry)
    except RegistrationError as error:
        how = "; --module-config gives it" if entry is None and module.Config is not None else ""
        raise UsageError(f"{error}{how}") from error


def _configured_spec(module: type[Module], isolation: str, entry: PlacedSettings | None) -> ChildSpec:
    overrides: dict[str, Any] = {"isolation": isolation}
    if entry is None:
        return module.spec(**overrides)
    settings = entry.settings
    if settings.memory is not UNSET and not settings.process and isolation != "process":
        raise RegistrationError(
            f"{entry.place}.memory in {entry.file}: a limit needs a process of its own: process: true"
        )
    if settings.config is not None or module.Config is not None:
        place = f"{entry.place}.config in {entry.file}"
        overrides["config"] = read_config(module, module.Config, settings.config, place)
    return module.spec(**{**overrides, **settings.overrides()})


def spec_of(path: str, config_file: str = "") -> ChildSpec:
    """The child spec of one module: `package.file:Class`, or with `@process` behind it for a process of its own.

    `config_file`: what is set for it there, among others. UsageError when a path or a setting is wrong, or the file has nothing for it.
    """
    settings = read_settings_file(config_file) if config_file else {}
    found = len(settings)
    spec = _spec(path, None, settings)
    if config_file and len(settings) == found:
        raise UsageError(f"{config_file} has nothing for {path}: neither its name {spec.name} nor its path is a key")
    return spec


def spec_found_from(path: str, folder: str, config_file: str = "") -> ChildSpec:
    """The child spec of one module that may also be in this folder, which is searched last, and from then on if it is there."""
    added = bool(folder) and os.path.isdir(folder) and folder not in sys.path
    if added:
        sys.path.append(folder)
    try:
        return spec_of(path, config_file)
    except KubeEdgeActorsError:
        if added:
            sys.path.remove(folder)
        raise


def entry_point_paths() -> list[str]:
    """The paths that installed packages announce.

    Read from the packages' own files, because importlib.metadata would cost an idle edge megabytes.
    """
    return list(dict.fromkeys(path for folder in sys.path for path in _entry_points_in(Path(folder or "."))))


def _entry_points_in(folder: Path) -> Iterator[str]:
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(DESCRIPTIONS))
    except OSError:  # a zip file, or a folder that is not there
        return
    for name in names:
        try:
            text = (folder / name / "entry_points.txt").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):  # most packages announce nothing
            continue
        yield from parse_entry_points(text)


def parse_entry_points(text: str) -> Iterator[str]:
    """The paths in one `entry_points.txt`.

    >>> list(parse_entry_points("[console_scripts]\\na = b:c\\n[kubeedge_actors.modules]\\nalarm = acme.alarm:Alarm  # ours\\n"))
    ['acme.alarm:Alarm']
    """
    group = ""
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("["):
            group = line.strip("[] ")
        elif line and group == ENTRY_POINTS:
            yield line.partition("=")[2].partition("[")[0].strip()
