"""What both sides tell of devices: which of them are asked for, and their moments. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from kubeedge_actors.control.request_fields import count, text

Json = dict[str, Any]
Device = TypeVar("Device")
LIMIT, MOST = 500, 5_000
"""How many are told unless it is said, and at most."""


class DeviceQuery(NamedTuple):
    """Of one `namespace`, of one `device` ("<namespace>/<name>", or the name alone), the first `limit`; empty: all."""

    namespace: str
    device: str
    limit: int

    @classmethod
    def of(cls, request: Json) -> DeviceQuery:
        """What a request asks for; UsageError when its limit is none."""
        return cls(text(request, "namespace"), text(request, "device"), count(request, "limit", LIMIT, MOST))

    def chosen(self, devices: Iterable[Device], id_of: Callable[[Device], str]) -> list[Device]:
        """Those that it asks for, in their order.

        >>> DeviceQuery("", "t", 9).chosen(["a/t", "b/t", "b/u"], str), DeviceQuery("b", "", 1).chosen(["a/t", "b/t", "b/u"], str)
        (['a/t', 'b/t'], ['b/t'])
        """
        return list(islice((device for device in devices if self._matches(id_of(device))), self.limit))

    def _matches(self, id: str) -> bool:
        namespace, _, name = id.rpartition("/")
        return self.namespace in ("", namespace) and self.device in ("", id, name)


def parse_last_online(moment: object) -> float | None:
    """RFC 3339 as epoch seconds; None for anything else.

    >>> parse_last_online("2023-11-14T22:13:20Z"), parse_last_online(""), parse_last_online("soon")
    (1700000000.0, None, None)
    """
    try:
        return datetime.fromisoformat(str(moment)).timestamp() if moment else None
    except ValueError:
        return None


def seconds_of_ms(stamp: object) -> float | None:
    """Milliseconds since the epoch, a number or its text, as seconds; None for anything else.

    >>> seconds_of_ms("1700000000500"), seconds_of_ms(0), seconds_of_ms("soon"), seconds_of_ms(None)
    (1700000000.5, None, None, None)
    """
    try:
        return float(str(stamp)) / 1000 or None
    except ValueError:
        return None
