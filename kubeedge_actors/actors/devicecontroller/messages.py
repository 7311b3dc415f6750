"""What DeviceController tells itself, and what it puts off."""

from __future__ import annotations

from dataclasses import dataclass

from kubeedge_actors.supervisors import ReplyTo
from kubeedge_actors.wire.messages import LinkMessage


@dataclass(frozen=True, slots=True)
class DeviceWriteDue:
    """The next status write of this device is due."""

    device: str


@dataclass(frozen=True, slots=True)
class ExpiryCheckDue:
    """Timer: check what has waited too long, each second."""


@dataclass(frozen=True, slots=True)
class ReporterCheckDue:
    """Look again who has reported the statuses that are there; the API did not answer."""


@dataclass(frozen=True, slots=True)
class DeferredMessage:
    """A report or request that waits until the devices are known, with its `ReplyTo`."""

    message: LinkMessage
    reply: ReplyTo | None
