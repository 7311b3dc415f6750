"""Messages of MetaServer to itself, and what a call of the cloud may end with."""

from __future__ import annotations

from kubeedge_actors.errors import DriverError
from kubeedge_actors.wire.application import Application
from kubeedge_actors.wire.messages import Message


class CallCloud(Message, frozen=True, kw_only=True):
    """A thread of the server wants a call made; it is answered with the Application that the cloud answers. Errors: CloudAway, CloudSilent, TokenNotShown.

    `trusted`: who asks may have what the cloud itself may.
    """

    application: Application
    trusted: bool = False


class CallTimeout(Message, frozen=True, kw_only=True):
    """The call `msg_id` has waited long enough."""

    msg_id: str


class WatchesChanged(Message, frozen=True, kw_only=True):
    """A program has begun a watch, or ended one: the cloud has to know which there are."""


class TokenNotShown(DriverError):
    """The cloud would not make the call with the token, but with rights of its own."""


class CloudAway(DriverError):
    """The cloud can not be asked now: nothing was done."""


class CloudSilent(DriverError):
    """The cloud was asked and has not answered: whether it was done is not known."""
