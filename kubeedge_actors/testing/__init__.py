"""For tests of modules: run them in one thread with a clock moved by hand, see what they say, break them on purpose.

Belongs here: what authors of modules test with, as docs/reference/testing.md tells it. Does not: what only our own tests need (tests/).
"""

from kubeedge_actors.supervisors import ManualClock
from kubeedge_actors.testing.faults import Fault, crash, crash_after, crash_at, delayed, duplicated, faulty, slow
from kubeedge_actors.testing.harness import ActorCrashed, Harness, InjectedCrash, Probe, as_spec, inline
from kubeedge_actors.testing.links import FakeCloud

__all__ = [
    # running modules in a test
    "inline", "Harness", "Probe", "ManualClock", "ActorCrashed", "as_spec",
    # faults of actors
    "faulty", "crash_at", "crash", "crash_after", "duplicated", "delayed", "slow", "Fault", "InjectedCrash",
    # faults of the link
    "FakeCloud",
]  # fmt: skip
