"""Events (core/v1) as controllers record them."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.kubernetes.time import format_time

Json = dict[str, Any]

LONGEST_NAME = 200
"""Characters of the object's name that an Event's name keeps: with reason and time it stays below the API's 253."""


def event(about: Json, type: str, reason: str, message: str, now: float, component: str) -> Json:
    """A v1.Event to be created. `about`: `involvedObject`, with kind, apiVersion and name; `now`: epoch seconds.

    Its name has the reason in it, since one tick of a clock may see two of one object.
    """
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{about['name'][:LONGEST_NAME].rstrip('.-')}.{reason.lower()}.{int(now * 1e9):x}",
            "namespace": about.get("namespace") or "default",
        },
        "involvedObject": about,
        "type": type,
        "reason": reason,
        "message": message,
        "count": 1,
        "firstTimestamp": format_time(now),
        "lastTimestamp": format_time(now),
        "source": {"component": component},
        "reportingComponent": component,
    }
