"""`make audit`: asks pip-audit whether a published fault is known of a version that the lock files name.

    python tools/audit.py PIP_AUDIT LOCK...

PIP_AUDIT is its command, the LOCKs are files with pinned versions and hashes. It asks the package index and, where that knows none of them, OSV.
Exit status 1 when a fault is known. Where neither can be reached it says so in one sentence and exits with 0: the want of a network is no fault
of the lock.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

SERVICES = ("pypi", "osv")
TIMEOUT_S = 15
UNREACHABLE = ("ConnectionError", "Timeout", "HTTPError", "ServiceError")
"""What the last line of pip-audit names when a database gave no answer."""


def main(arguments: Sequence[str]) -> int:
    """Print what is known of the locked versions; the exit status."""
    pip_audit, locks = arguments[0], arguments[1:]
    for service in SERVICES:
        answered = [row for lock in locks for row in _ask(pip_audit, service, lock) if "vulns" in row]
        if answered:
            return _report(answered, service)
    print(
        f"audit: no database of vulnerabilities could be reached ({', '.join(SERVICES)}), so nothing was audited: try again with a network"
    )
    return 0


def _ask(pip_audit: str, service: str, lock: str) -> list[dict[str, Any]]:
    """One row for each library: `name`, `version` and `vulns`, or `skip_reason` where the service does not know it; none without an answer."""
    options = [
        "--vulnerability-service",
        service,
        "--format",
        "json",
        "--progress-spinner",
        "off",
        "--timeout",
        str(TIMEOUT_S),
    ]
    command = [pip_audit, *options, "--disable-pip", "--require-hashes", "--requirement", lock]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        if not any(word in said for word in UNREACHABLE):
            raise SystemExit(f"audit: pip-audit could not look at {lock}: {said}") from None
        return []
    return dependencies


def _report(answered: Sequence[dict[str, Any]], service: str) -> int:
    faults = [(row["name"], row["version"], fault) for row in answered for fault in row["vulns"]]
    for name, version, fault in faults:
        fixed = " or ".join(fault["fix_versions"]) or "no version yet"
        print(f"{name} {version}: {', '.join([fault['id'], *fault.get('aliases', ())])}, mended in {fixed}")
    print(f"audit: {len(answered)} libraries, {len(faults)} known faults ({service})")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
