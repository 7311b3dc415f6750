"""A process per actor, here or on another host: the threads engine, whose actors live in processes unless they say not."""

from __future__ import annotations

from kubeedge_actors.supervisors.engines.process.carry import Carrier
from kubeedge_actors.supervisors.engines.process.launcher import Convention
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine


class HostsEngine(ThreadsEngine):
    """Mailboxes, supervision and timers stay here, on a thread for each actor; the actors live elsewhere.

    `convention`: where hosts elsewhere reach this machine. `carrier`: how messages are carried (default: pickled).
    """

    isolation = "process"

    def __init__(self, convention: Convention | None = None, carrier: Carrier | None = None) -> None:
        super().__init__(convention, carrier)
