"""For tests of modules: run them in one thread with a clock moved by hand, see what they say, break them on purpose.

Belongs here: what authors of modules test with, as docs/reference/testing.md tells it. Does not: what only our own tests need (tests/).
"""

from typing import Any

from kubeedge_actors.supervisors import ManualClock
from kubeedge_actors.testing.faults import Fault, crash, crash_after, crash_at, delayed, faulty, redelivered, slow
from kubeedge_actors.testing.harness import ActorCrashed, Harness, InjectedCrash, Probe, as_spec, inline
from kubeedge_actors.testing.links import FakeCloud, LinkProbe

__all__ = [
    # running modules in a test
    "inline", "Harness", "Probe", "ManualClock", "ActorCrashed", "as_spec",
    # faults of actors
    "faulty", "crash_at", "crash", "crash_after", "redelivered", "delayed", "slow", "Fault", "InjectedCrash",
    # faults of the link; what goes over it
    "FakeCloud", "LinkProbe",
]  # fmt: skip

_RENAMED = {"duplicated": redelivered}
"""Old names that are good for one more release (CHANGELOG)."""


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        import warnings

        warnings.warn(f"{__name__}.{name} is now {_RENAMED[name].__name__}", DeprecationWarning, stacklevel=2)
        return _RENAMED[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
