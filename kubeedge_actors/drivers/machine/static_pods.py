"""A folder of pod manifests: YAML or JSON, any number of documents in a file, hidden files left out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

ENDINGS = (".yaml", ".yml", ".json")


class StaticPodFolder:
    """The pods in the files of `folder`. `documents` parses text into objects, and raises ValueError when it can not."""

    def __init__(self, folder: Path, documents: Callable[[str], Iterable[Any]]) -> None:
        self._folder, self._documents = folder, documents
        self._seen: dict[str, tuple[int, int]] | None = None
        self._error: str | None = None

    def _stamps(self) -> dict[str, tuple[int, int]]:
        stamps = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.endswith(ENDINGS) and not entry.name.startswith("."):
                        stat = entry.stat()
                        stamps[entry.path] = (stat.st_mtime_ns, stat.st_size)
            if self._error is not None:
                log.warning("the manifests in %s can be read again", self._folder)
            self._error = None
        except OSError as error:
            if error.strerror != self._error:
                log.warning("the manifests in %s can not be read: %s", self._folder, error.strerror)
            self._error = error.strerror
        return stamps

    def has_changed(self) -> bool:
        """Whether a file has come, gone or changed since `read`: one look at the folder, no file is opened."""
        return self._stamps() != self._seen

    def read(self) -> list[tuple[str, dict[str, object]]]:
        """Each pod with the path of its file."""
        self._seen = self._stamps()
        return [(path, pod) for path in sorted(self._seen) for pod in self._pods_of(path)]

    def _pods_of(self, path: str) -> list[dict[str, object]]:
        try:
            documents = list(self._documents(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            log.warning("the manifest %s is ignored: %s", path, error)
            return []
        pods = [document for document in documents if isinstance(document, dict) and document.get("kind") == "Pod"]
        if len(pods) != len([document for document in documents if document]):
            log.warning("the manifest %s holds objects that are no pods: they are left out", path)
        return pods
