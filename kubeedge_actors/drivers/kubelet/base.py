"""What the server and whoever answers for the kubelets say to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from kubeedge_actors.osutil.connection_relay import Duplex

Name = tuple[tuple[tuple[str, str], ...], ...]
"""A distinguished name as `ssl` tells it."""


class ClientIdentity(msgspec.Struct, frozen=True):
    """Whose a verified client certificate is, and who has signed it."""

    common_name: str = ""
    organizations: tuple[str, ...] = ()
    issuer: Name = ()


class KubeletRequest(msgspec.Struct, frozen=True):
    """One request. `target`: path and query; `headers`: names in lower case, each with all its values."""

    method: str
    target: str
    headers: Mapping[str, list[str]]
    client: ClientIdentity | None = None

    def header(self, name: str) -> str:
        """The first value of a header; empty: it is not there."""
        return next(iter(self.headers.get(name, ())), "")


class TextAnswer(msgspec.Struct, frozen=True):
    """A status and a sentence."""

    status: int
    text: str


class StreamAnswer(msgspec.Struct, frozen=True):
    """What comes in `duplex` is the body of an answer."""

    duplex: Duplex
    content_type: str


class UpgradeAnswer(msgspec.Struct, frozen=True):
    """What comes in `duplex` is the rest of the connection, from the status line on."""

    duplex: Duplex


class ForwardAnswer(msgspec.Struct, frozen=True):
    """Another replica answers: `host`:`port` is told the same request, with these headers more."""

    host: str
    port: int
    headers: Mapping[str, str]


Answer = TextAnswer | StreamAnswer | UpgradeAnswer | ForwardAnswer
Handler = Callable[[KubeletRequest], Answer]
"""Called in a thread of its own; it may block for as long as the cluster's API needs. DriverError: why it can not be served."""
