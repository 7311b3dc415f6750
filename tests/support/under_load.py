"""`make test-under-load`: the tests that other work on the machine could disturb, beside three programs that never rest.

Usage: python -m tests.support.under_load [PASSES]; 3 if not given. Exit status 1 when a pass failed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

BUSY = 3
PART = (
    "tests/unit/dashboard",
    "tests/unit/control",
    "tests/unit/supervisors",
    "tests/unit/actors/devicetwin/test_history.py",
    "tests/unit/actors/scheduler/test_schedule.py",
    "tests/integration/test_edgehub_link.py",
    "tests/unit/drivers/broker/test_external.py",
    "tests/unit/drivers/containers/test_process.py",
    "tests/e2e/test_chaos.py",
    "tests/e2e/test_cold_boot.py",
    "tests/e2e/test_pods.py",
)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Programs that use a core each, inside the block."""
    loops = [subprocess.Popen((sys.executable, "-c", "while True: pass")) for _ in range(count)]
    try:
        yield
    finally:
        for program in loops:
            program.kill()
            program.wait()


def main(passes: int) -> int:
    """Run the part so often, whether or not a pass fails."""
    failed = 0
    with busy(BUSY):
        for number in range(1, passes + 1):
            print(f"pass {number} of {passes} beside {BUSY} busy loops: 5 minutes at most on two cores", flush=True)
            begun = time.monotonic()
            failed += subprocess.run((sys.executable, "-m", "pytest", *PART), check=False).returncode != 0
            print(f"pass {number}: {time.monotonic() - begun:.0f} s", flush=True)
    print(f"{failed} of {passes} passes failed" if failed else f"{passes} passes hold")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
