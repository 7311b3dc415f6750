"""What is installed: every library is locked with hashes, and no floor admits a version with a published fault."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
EVERYTHING = "constraints.txt"
LOCKS = {
    EVERYTHING: None,
    "requirements/run.txt": ("build", "cloud", "docker", "dashboard"),
    "requirements/build.txt": (),
    "requirements/audit.txt": (),
    "kubeedge_actors/deploy/edge-requirements.txt": (),
}
"""The extras of setup.cfg that a lock has to hold; None for all."""
FIRST_WITHOUT = {
    "amqtt": ("0.11.4", "GHSA-2hjf-7455-w946: an invalid wildcard stalls the broker"),
    "certifi": ("2024.7.4", "CVE-2024-39689: a root that is no longer trusted"),
    "cryptography": ("50.0.0", "CVE-2026-69247; before it CVE-2026-34180, CVE-2026-26007, CVE-2024-12797"),
    "grpcio": ("1.68.0", "CVE-2024-11407, CVE-2024-7246"),
    "h11": ("0.16.0", "CVE-2025-43859: request smuggling by chunked bodies"),
    "h2": ("4.3.0", "CVE-2025-57804: request smuggling by header values"),
    "idna": ("3.15", "CVE-2026-45409, CVE-2024-3651: quadratic time"),
    "protobuf": ("6.33.5", "CVE-2026-0994, CVE-2025-4565: recursion without a limit"),
    "pygments": ("2.20.0", "CVE-2026-4539"),
    "pytest": ("9.0.3", "CVE-2025-71176: a folder in /tmp that others can make"),
    "pyyaml": ("5.4", "CVE-2020-14343"),
    "requests": ("2.33.0", "CVE-2026-25645, CVE-2024-47081, CVE-2024-35195"),
    "setuptools": ("83.0.0", "CVE-2026-59890, CVE-2025-47273"),
    "urllib3": ("2.7.0", "CVE-2026-44431, CVE-2026-44432, CVE-2026-21441, CVE-2025-66418"),
    "uvicorn": ("0.11.7", "CVE-2020-7694, CVE-2020-7695"),
    "websockets": ("9.1", "CVE-2021-33880"),
}
"""Of libraries that setup.cfg names: the first version without the faults that are known, and their numbers."""
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def _requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]


def _wanted(extras: tuple[str, ...] | None) -> Iterator[Requirement]:
    """What setup.cfg asks for with these extras (all for None); without any extra nothing."""
    setup = _setup()
    parts = setup["options.extras_require"]
    if extras != ():
        yield from _requirements(setup["options"]["install_requires"])
    for extra in parts if extras is None else extras:
        yield from _requirements(parts[extra])


def _locked(lock: str) -> dict[str, tuple[Version, int]]:
    """By name: the version and how many hashes it has."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    found = {}
    for line in lines:
        pinned = re.match(r"([\w.-]+)==([^\s;]+)", line)
        assert pinned is not None, f"{lock}: not pinned: {line[:80]}"
        found[str(canonicalize_name(pinned[1]))] = Version(pinned[2]), len(HASH.findall(line))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_has_hashes(lock: str) -> None:
    found = _locked(lock)
    assert found
    assert [name for name, (_, hashes) in found.items() if not hashes] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_setup_cfg_asks_for(lock: str) -> None:
    found = _locked(lock)
    names = [(str(canonicalize_name(each.name)), each.specifier) for each in _wanted(LOCKS[lock])]
    assert [name for name, _ in names if name not in found] == []
    assert [(name, found[name][0]) for name, floor in names if found[name][0] not in floor] == []


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock != EVERYTHING])
def test_a_library_has_one_version_in_all_locks(lock: str) -> None:
    everything, found = _locked(EVERYTHING), _locked(lock)
    assert {
        name: version for name, (version, _) in found.items() if everything.get(name, (version,))[0] != version
    } == {}


@pytest.mark.parametrize("name", FIRST_WITHOUT)
def test_no_floor_admits_a_version_with_a_published_fault(name: str) -> None:
    safe, fault = FIRST_WITHOUT[name]
    floors = [each.specifier for each in _wanted(None) if canonicalize_name(each.name) == name]
    assert floors, f"setup.cfg does not name {name}"
    lowest = [min(Version(one.version) for one in floor if one.operator in (">=", "==")) for floor in floors]
    assert all(version >= Version(safe) for version in lowest), f"{name} before {safe} has {fault}"
    assert all(_locked(lock)[name][0] >= Version(safe) for lock in LOCKS if name in _locked(lock))


def test_the_build_has_the_same_floor_in_both_files() -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    assert required == [str(each) for each in _requirements(_setup()["options.extras_require"]["build"])]


def test_the_installer_takes_nothing_without_its_hash() -> None:
    lines = (ROOT / "tools" / "environment").read_text(encoding="utf-8").splitlines()
    installs = [line for line in lines if line.startswith("install --")]
    fetching = [line for line in installs if "--no-deps --no-build-isolation --editable" not in line]
    assert len(installs) == 3
    assert all("--require-hashes --only-binary :all:" in line for line in fetching)


def _audit(tmp_path: Path, answer: str, lock: str = "h11==0.14") -> subprocess.CompletedProcess[str]:
    """`make audit` with a pip-audit that answers so."""
    pip_audit, locked = tmp_path / "pip-audit", tmp_path / "lock.txt"
    pip_audit.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    pip_audit.chmod(0o755)
    locked.write_text(lock, encoding="utf-8")
    command = (sys.executable, ROOT / "tools" / "audit.py", pip_audit, locked)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _rows(*rows: dict[str, object]) -> str:
    return f"echo '{json.dumps({'dependencies': rows})}'"


@pytest.mark.processes
def test_the_audit_names_a_known_fault_and_fails(tmp_path: Path) -> None:
    fault = {"id": "PYSEC-1", "aliases": ["CVE-2025-43859"], "fix_versions": ["0.16.0"]}
    done = _audit(tmp_path, _rows({"name": "h11", "version": "0.14", "vulns": [fault]}))
    assert done.returncode == 1
    assert "h11 0.14: PYSEC-1, CVE-2025-43859, mended in 0.16.0" in done.stdout


@pytest.mark.processes
@pytest.mark.parametrize(
    "answer",
    [
        _rows({"name": "h11", "skip_reason": "not found"}),
        "echo 'requests.exceptions.ConnectionError: no name' >&2; exit 1",
    ],
)
def test_an_audit_without_a_database_says_so_and_is_no_failure(tmp_path: Path, answer: str) -> None:
    done = _audit(tmp_path, answer)
    assert done.returncode == 0
    assert "no database of vulnerabilities could be reached" in done.stdout


@pytest.mark.processes
def test_an_audit_that_could_not_read_a_lock_fails(tmp_path: Path) -> None:
    done = _audit(tmp_path, "echo 'ERROR: requirement is not pinned' >&2; exit 1")
    assert done.returncode == 1
    assert "could not look at" in done.stderr
