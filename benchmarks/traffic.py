"""What an idle joined edge sends and gets in a day: to a cloud of ours, and to one that behaves as the original.

    python benchmarks/traffic.py [--seconds 120] [--json]

Real processes; the edge counts its frames (without what WebSocket, TLS and TCP add). What comes every few seconds is counted and
extrapolated; the report of an unchanged status, which comes every 5 or 15 minutes, is counted once and multiplied. The original's
figure was measured between its own two sides.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from _processes import Pair
from _rows import Row, show

from kubeedge_actors.actors.edged.status.node_status_manager import RARE_REPORT_PERIOD, REPORT_PERIOD

TAKES = 330
DAY = 86_400.0
MB = 1_000_000.0
ORIGINAL = 21.0
SOURCE = "KubeEdge, between its own two sides"
REPORTS = ("nodepatch", "node")
"""Kinds that a report of the status brings: the patch, its answer, the echo of the changed Node and its acknowledgement."""
ONCE = ("edged/node",)
"""Registration, which an idle edge does not repeat."""


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long to count")
    parser.add_argument("--json", action="store_true", help="one JSON list")
    options = parser.parse_args()
    plain = (str(Path(__file__).with_name("_plain_cloud.py")),)
    rows = [
        *of("a cloud of ours", options.seconds, RARE_REPORT_PERIOD, "<= 2", ()),
        *of("a cloud like the original", options.seconds, REPORT_PERIOD, "<= 15", (plain,)),
    ]
    show("Idle edge, frames on the link", rows)


def of(name: str, seconds: float, report: float, budget: str, cloud: tuple[tuple[str, ...], ...]) -> list[Row]:
    """The rows for one sort of cloud; `report`: seconds between two reports of an unchanged status."""
    with tempfile.TemporaryDirectory() as folder, Pair(Path(folder), *cloud) as pair:
        time.sleep(15.0)  # what follows the registration
        first = _counted(pair)
        time.sleep(seconds)
        last = _counted(pair)
    total = 0.0
    rows = []
    for about, (messages, size) in sorted(last.items()):
        if any(about.endswith(once) for once in ONCE):
            continue
        if about.rpartition("/")[2] in REPORTS:
            daily = size / messages * DAY / report
        else:
            daily = (size - first.get(about, (0, 0))[1]) * DAY / seconds
        total += daily
        if daily:
            rows.append(Row(f"  {about}", daily / MB, "MB/day"))
    ratio = ORIGINAL * MB / total
    return [Row(f"idle edge with {name}", total / MB, "MB/day", budget, ORIGINAL, ratio, SOURCE), *rows]


def _counted(pair: Pair) -> dict[str, tuple[int, int]]:
    traffic = pair.edge.tree()["traffic"]
    return {
        f"{way} {about}": (each["messages"], each["bytes"])
        for way in ("up", "down")
        for about, each in traffic[way].items()
    }


if __name__ == "__main__":
    main()
