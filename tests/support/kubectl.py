"""The real kubectl, with a home directory of its own so that its discovery cache is private."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from kubeedge_actors.apiserver import kubeconfig
from tests.support.waiting import PATIENCE

OLDEST = (1, 28)


@cache
def unfit() -> str:
    """Why kubectl cannot be used; empty when it can."""
    program = shutil.which("kubectl")
    if program is None:
        return "kubectl is not installed"
    output = subprocess.run(
        [program, "version", "--client"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    match = re.search(r"v(\d+)\.(\d+)", output.stdout)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    return "" if version >= OLDEST else f"kubectl is older than 1.28: {output.stdout.strip()}"


class Kubectl:
    """Runs kubectl against a server, as its administrator."""

    def __init__(self, home: Path, url: str, *certificates: bytes) -> None:
        self._home = home
        config = home / "kubeconfig"
        config.write_text(kubeconfig(url, *certificates))
        path = os.environ.get("PATH", "")
        self.environment = {"HOME": str(home), "KUBECONFIG": str(config), "PATH": path}

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """The whole result, whatever the exit status."""
        return subprocess.run(
            ["kubectl", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=self.environment | environment,
        )

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        """What it prints; it must succeed."""
        result = self.run(*arguments, stdin=stdin, **environment)
        assert result.returncode == 0, f"kubectl {' '.join(arguments)}: {result.stderr}"
        return result.stdout.strip()

    def apply(self, *objects: object, flags: tuple[str, ...] = ()) -> list[str]:
        """`kubectl apply` of objects; its lines."""
        return self("apply", *flags, "-f", "-", stdin=text_of(*objects)).splitlines()

    def get(self, *arguments: str) -> Any:
        """`kubectl get -o json`."""
        return msgspec.json.decode(self("get", *arguments, "-o", "json"))

    def start(self, *arguments: str, stderr: int | None = None) -> subprocess.Popen[str]:
        """Starts it and does not wait."""
        line = ["kubectl", *arguments]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=stderr, text=True, env=self.environment)


def text_of(*objects: object) -> str:
    """A manifest of several objects."""
    return "\n".join(msgspec.json.encode(object).decode() for object in objects)
