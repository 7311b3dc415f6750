"""What an idle node costs: memory of an idle joined edge and of its cloud, time to ready, size of an edge's installation.

    python benchmarks/footprint.py [--seconds 30] [--json]

Real processes with the process runtime. RSS counts pages that are shared with other processes, PSS their share. The installation is that of
deploy/edge-requirements.txt, counted from the packages that are installed here, with Python as Debian 12 packs it. The baseline is the
original as recorded elsewhere: edgecore 88 MB, cloudcore 72 MB, binary of edgecore 98.9 MB (containerd comes on top).
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from importlib import metadata
from pathlib import Path

from _processes import Pair
from _rows import Row, show

import kubeedge_actors

TAKES = 40
MB = 1_000_000.0
EDGECORE, CLOUDCORE, BINARY = 88.0, 72.0, 98.9
SOURCE = "KubeEdge's edgecore and cloudcore, idle; the binary of edgecore without containerd"
PYTHON_KIB = 6_766 + 5_232 + 8_334 + 651
"""Installed-Size of Debian 12's python3.11-minimal, libpython3.11-minimal, libpython3.11-stdlib and python3.11."""
REQUIREMENTS = Path(kubeedge_actors.__file__).parents[1] / "deploy" / "edge-requirements.txt"


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to be idle before looking")
    parser.add_argument("--json", action="store_true", help="one JSON list")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Pair(Path(folder)) as pair:
        time.sleep(options.seconds)
        edge, cloud = pair.edge.memory(), pair.cloud.memory()
        rows = [
            Row("edge, idle, joined: RSS", edge["Rss"], "MiB", "<= 36", EDGECORE, EDGECORE / edge["Rss"], SOURCE),
            Row("edge, idle, joined: PSS", edge["Pss"], "MiB"),
            Row("edge, idle, joined: private and dirty", edge["Private_Dirty"], "MiB"),
            Row("edge, start to ready", pair.edge.seconds, "s"),
            Row(
                "cloud with embedded API, idle: RSS",
                cloud["Rss"],
                "MiB",
                "<= 70",
                CLOUDCORE,
                CLOUDCORE / cloud["Rss"],
                SOURCE,
            ),
            Row("cloud, start to ready", pair.cloud.seconds, "s", "<= 2"),
        ]
    libraries, own, python = installed(), package(), PYTHON_KIB * 1024 / MB
    total = libraries + own + python
    rows += [
        Row("edge installation with Debian's Python", total, "MB", "<= 66", BINARY, BINARY / total, SOURCE),
        Row("  libraries", libraries, "MB"),
        Row("  kubeedge_actors", own, "MB"),
        Row("  Python", python, "MB"),
    ]
    show("Footprint", rows)


def installed() -> float:
    """Size of the libraries that an edge needs, in MB, bytecode included."""
    names = re.findall(r"^([\w.-]+)==", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    return sum(_size(metadata.distribution(name)) for name in names) / MB


def _size(distribution: metadata.Distribution) -> int:
    paths = (Path(str(distribution.locate_file(file))) for file in distribution.files or ())
    return sum(path.stat().st_size for path in paths if path.exists())


def package() -> float:
    """Size of this package in MB, with the bytecode of one Python."""
    folder = Path(kubeedge_actors.__file__).parent
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MB


if __name__ == "__main__":
    main()
