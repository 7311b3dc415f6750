"""A program of 200 actors, a tenth of which are at work: what a dashboard looks at. Serves until SIGTERM.

python benchmarks/_many_actors.py --data-dir DIR
"""

from __future__ import annotations

import argparse

from kubeedge_actors import ActorSystem
from kubeedge_actors.supervisors import Actor, ChildSpec

ACTORS, BUSY = 200, 20
TICK = 0.5


class Worker(Actor):
    """Ticks, if it is one of those at work."""

    def __init__(self, *, busy: bool) -> None:
        self._busy = busy

    def on_start(self) -> None:
        """Begin to tick."""
        if self._busy:
            self.context.every(TICK, "tick")

    def receive(self, message: object) -> object:
        """Do nothing."""
        return None


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    options = parser.parse_args()
    specs = [
        ChildSpec(f"worker-{number}", lambda number=number: Worker(busy=number < BUSY)) for number in range(ACTORS)
    ]
    with ActorSystem(specs, data_dir=options.data_dir) as system:
        print("ready", flush=True)
        system.wait()


if __name__ == "__main__":
    main()
