"""The cloud side without the extensions that two hubs of ours agree on: what a genuine edge or a genuine cloud would see."""

from __future__ import annotations

import sys

from kubeedge_actors import cloud
from kubeedge_actors.actors.cloudhub import upgrade_headers


def main() -> int:
    """As `python -m kubeedge_actors.cloud`."""
    upgrade_headers.has_extension = lambda peer, extension: False
    return cloud.main()


if __name__ == "__main__":
    sys.exit(main())
