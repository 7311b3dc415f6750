"""Modules of one's own: where a process finds them. By path (`--module`, `modules:` in the configuration file), and those that installed
packages announce by the entry-point group `kubeedge_actors.modules`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.module import ENTRY_POINTS, load_module
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.supervisors.registry import origin

log = logging.getLogger(__name__)
DESCRIPTIONS = (".dist-info", ".egg-info")


def plugin_specs(paths: Sequence[str]) -> list[ChildSpec]:
    """The modules of these paths, then the announced ones that are not among them.

    UsageError when a path is wrong or two have one name. An installed package whose module can not be loaded is a warning: the node starts
    without it.
    """
    specs = [(path, spec_of(path)) for path in dict.fromkeys(paths)]
    given = {path.partition("@")[0] for path in paths}
    for path in entry_point_paths():
        if path not in given:
            try:
                specs.append((path, spec_of(path)))
            except UsageError as error:
                log.warning("an installed package announces a module that can not be used: %s", error)
    known: dict[str, str] = {}
    for path, spec in specs:
        place = f"{path} ({origin(spec).rpartition(' in ')[2]})"
        if spec.name in known:
            raise UsageError(f"two modules are called {spec.name!r}: {known[spec.name]} and {place}")
        known[spec.name] = place
    return [spec for _, spec in specs]


def spec_of(path: str) -> ChildSpec:
    """The child spec of one module: `package.file:Class`, or with `@process` behind it for a process of its own."""
    where, _, isolation = path.partition("@")
    if isolation not in ("", "thread", "process"):
        raise UsageError(f"a module runs @thread or @process, not @{isolation}: {path!r}")
    return load_module(where).spec(isolation=isolation)


def spec_found_from(path: str, folder: str) -> ChildSpec:
    """The child spec of one module that may also be in this folder, which is searched last, and from then on if it is there."""
    added = bool(folder) and os.path.isdir(folder) and folder not in sys.path
    if added:
        sys.path.append(folder)
    try:
        return spec_of(path)
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
