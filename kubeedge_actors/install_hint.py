"""What to type when a library of an optional part is missing. The project is on no package index: it comes from a clone or a wheel."""

from __future__ import annotations

import json
import shlex
import sys

NAME = "kubeedge-actors"


def install_hint(extra: str) -> str:
    """The command that adds the extra to this installation, fit to be typed as it is.

    Where the installation came from is asked of pip's record of it; without one it is a clone that runs from its folder.
    """
    origin = _origin()
    url = str(origin.get("url", ""))
    if not url.startswith("file://"):
        return f"pip install '.[{extra}]' in the folder of the project"
    words, requirement = [sys.executable, "-m", "pip", "install"], f"{NAME}[{extra}] @ {url}"
    if "editable" in str(origin.get("dir_info", "")):
        words, requirement = [*words, "-e"], f"{url.removeprefix('file://')}[{extra}]"
    return shlex.join([*words, requirement])


def _origin() -> dict[str, object]:
    """pip's record of where this came from (PEP 610); empty without one."""
    from importlib.metadata import PackageNotFoundError, distribution  # costs megabytes, and is wanted only now

    try:
        record = distribution(NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return {}
    origin = json.loads(record or "{}")
    return origin if isinstance(origin, dict) else {}
