"""Every error class of the package, in one tree.

KubeEdgeActorsError
├── UsageError              invalid input by a person; one plain sentence, exit status 2, no traceback
├── WireError               a frame or a path is not what KubeEdge's grammar allows
│   ├── FrameError            not a JSON envelope
│   └── ResourceError         not a resource path or topic
├── MailboxError            a message could not be taken or answered
│   ├── MailboxFull           the overflow policy rejected it
│   ├── ActorStopped          the actor or its system takes no more messages
│   ├── AskTimeout            no answer before the asker's deadline
│   └── AnswerLost            the answer can no longer come: crash limit, dead letter, stop
├── RegistrationError       a module does not fit the others: double name, unknown group, bad handler
├── SupervisionError        the root supervisor gave up: nothing is left that restarts anything
└── DriverError             something outside the process failed or refused
    ├── LinkError             the connection to the other hub
    │   └── CertificateError    bootstrap or verification failed
    ├── StoreError            the database
    │   └── StoreCorrupt        not a database, or damaged
    ├── BrokerError           the MQTT broker
    ├── HttpError             a local HTTP service, or our own small server
    ├── MapperError           a device mapper said no, or its socket could not be had
    │   └── MapperAway          it did not answer
    ├── RuntimeUnavailable    no container engine answers
    ├── ContainerError        one container could not be started, stopped or removed
    │   └── ContainerConfigError its description asks for what may not be
    └── ClusterError          the Kubernetes API answered with a Status (code, reason)
        ├── NotFound            404
        ├── AlreadyExists       409 AlreadyExists
        ├── Conflict            409 Conflict
        ├── Forbidden           403
        │   └── ForbiddenAtStart    403 by an API server that has just come up
        └── Unreachable         no answer at all
"""

from __future__ import annotations

from typing import Any


class KubeEdgeActorsError(Exception):
    """Root of all errors that this package raises on purpose."""


class UsageError(KubeEdgeActorsError):
    """Invalid input by a person; its text is one plain sentence."""


class WireError(KubeEdgeActorsError):
    """A malformed message of KubeEdge's protocol."""


class FrameError(WireError):
    """A frame that is not a JSON envelope."""


class ResourceError(WireError):
    """A string that is not a resource path or a topic."""


class MailboxError(KubeEdgeActorsError):
    """A message was rejected, or an answer can not come."""


class MailboxFull(MailboxError):
    """The mailbox is at its capacity and its policy refuses more."""


class ActorStopped(MailboxError):
    """The actor or its system takes no more messages."""


class AskTimeout(MailboxError):
    """No answer came before the asker's deadline."""


class AnswerLost(MailboxError):
    """The answer can no longer come; the text says why."""


class RegistrationError(KubeEdgeActorsError):
    """A module does not fit the others; the text names both."""


class SupervisionError(KubeEdgeActorsError):
    """The root supervisor gave up, so the whole tree has ended; the text names the child and its error."""


class DriverError(KubeEdgeActorsError):
    """Something outside the process failed or refused. `port`: the one that can not be listened on, 0 when it is about something else."""

    def __init__(self, text: str = "", port: int = 0) -> None:
        super().__init__(text)
        self.port = port


class LinkError(DriverError):
    """The connection to the other hub failed."""


class CertificateError(LinkError):
    """A certificate or token was refused, or could not be had."""


class StoreError(DriverError):
    """The database refused."""


class StoreCorrupt(StoreError):
    """The file is not a database, or is damaged."""


class BrokerError(DriverError):
    """The MQTT broker refused."""


class HttpError(DriverError):
    """A local HTTP service could not be called, or our own small server not started."""


class MapperError(DriverError):
    """A device mapper refused, or the socket that mappers call could not be had."""


class MapperAway(MapperError):
    """A device mapper did not answer."""


class RuntimeUnavailable(DriverError):
    """No container engine answers."""


class ContainerError(DriverError):
    """One container could not be started, stopped or removed; the text is fit for a pod's status."""


class ContainerConfigError(ContainerError):
    """The description of a container or pod asks for what may not be: no engine was asked, and none would do it."""


class ClusterError(DriverError):
    """The Kubernetes API answered with a Status; `status` is that JSON object, whole."""

    def __init__(self, status: dict[str, Any]) -> None:
        super().__init__(str(status.get("message", "the API server gave no message")))
        self.status = status

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status,)

    @property
    def code(self) -> int:
        """HTTP status code."""
        return int(self.status.get("code", 0))

    @property
    def reason(self) -> str:
        """Machine-readable reason, as in `NotFound`."""
        return str(self.status.get("reason", ""))


class NotFound(ClusterError):
    """404."""


class AlreadyExists(ClusterError):
    """409 AlreadyExists."""


class Conflict(ClusterError):
    """409 Conflict: somebody else wrote first."""


class Forbidden(ClusterError):
    """403: who asks may not do this."""


class ForbiddenAtStart(Forbidden):
    """403 by an API server that was away a moment ago: it may not know its own rules yet."""


class Unreachable(ClusterError):
    """The API server did not answer."""

    def __init__(self, message: str) -> None:
        super().__init__({"message": message, "reason": "Unreachable", "code": 0})

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),)
