"""What some tests want and not every machine has: a marker each, decided before anything of the test is started.

At the end one line tells how many tests were skipped for want of what, and what helps. `--without NAME` runs the tests as a
machine does that has none.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from kubeedge_actors.drivers.containers.shim import cgroup
from tests.support import chromium, docker_engine, kubectl

MOSQUITTO = ("mosquitto", "mosquitto_pub", "mosquitto_sub", "mosquitto_passwd")
SKIPPED = re.compile(r"(?:Skipped: )?wants (\S+): (.*)", re.S)


@dataclass(frozen=True)
class Requirement:
    """`missing`: why it can not be used here, empty when it can. `help`: what to do about it."""

    missing: Callable[[], str]
    help: str


def _without_mosquitto() -> str:
    absent = [name for name in MOSQUITTO if shutil.which(name) is None]
    return f"{', '.join(absent)} not found" if absent else ""


def _not_found(*names: str) -> str:
    """Empty when one of these programs is there."""
    return "" if any(map(shutil.which, names)) else f"no {' and no '.join(names)}"


def _without_cgroups(*controllers: str) -> str:
    parent = cgroup.find_parent(controllers=frozenset(controllers))
    if parent is None:
        return "there is no writable one"
    return "" if parent.controllers == set(controllers) else f"without {', '.join(controllers)}"


REQUIREMENTS = {
    "cgroup2": Requirement(_without_cgroups, "a writable cgroup v2 (Linux 5.14)"),
    "cgroup2_limits": Requirement(
        lambda: _without_cgroups(cgroup.CPU, cgroup.MEMORY), "a writable cgroup v2 with cpu and memory"
    ),
    "mosquitto": Requirement(_without_mosquitto, "apt-get install mosquitto mosquitto-clients"),
    "kubectl": Requirement(kubectl.unfit, "kubectl 1.28 or newer, https://kubernetes.io/docs/tasks/tools"),
    "docker": Requirement(docker_engine.unfit, "a Docker engine at DOCKER_HOST or /var/run/docker.sock"),
    "tmux": Requirement(lambda: _not_found("tmux"), "apt-get install tmux"),
    "chromium": Requirement(lambda: _not_found(*chromium.NAMES), "apt-get install chromium"),
    "index": Requirement(lambda: "", "a package index that pip can reach"),
}
FIXTURES = {"docker_engine": "docker", "kubectl": "kubectl"}
"""A test that uses one of these fixtures needs no marker of its own."""


def lacks(name: str) -> None:
    """Skip the running test for want of `name`: for what only the test itself can find out."""
    pytest.skip(f"wants {name}: {REQUIREMENTS[name].help}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option of this plug-in."""
    parser.addoption("--without", action="append", default=[], choices=list(REQUIREMENTS), help="as if there were none")


def pytest_configure(config: pytest.Config) -> None:
    """The markers."""
    for name, requirement in REQUIREMENTS.items():
        config.addinivalue_line("markers", f"{name}: wants {requirement.help}")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what uses a fixture that wants something."""
    for fixture, name in FIXTURES.items():
        if fixture in getattr(item, "fixturenames", ()):
            item.add_marker(name)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the test before any of its fixtures is made."""
    for name, requirement in REQUIREMENTS.items():
        if item.get_closest_marker(name) is not None:
            reason = "--without was given" if name in item.config.option.without else _missing(name)
            if reason:
                pytest.skip(f"wants {name}: {requirement.help} ({reason})")


@cache
def _missing(name: str) -> str:
    return REQUIREMENTS[name].missing()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for all that was skipped."""
    wanting: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", ()):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        match = SKIPPED.match(reason)
        (wanting if match else others)[match[1] if match else reason.removeprefix("Skipped: ")] += 1
    wanted = [f"{name} ({count}; {REQUIREMENTS[name].help})" for name, count in sorted(wanting.items())]
    if wanted:
        terminalreporter.write_line(f"skipped for want of: {', '.join(wanted)}", yellow=True)
    if others:
        rest = ", ".join(f"{count} x {reason}" for reason, count in others.most_common())
        terminalreporter.write_line(f"skipped besides: {rest}", yellow=True)
