"""The cloud and edge processes that run on this machine, found by the control sockets that they listen at."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.control.formatting import aligned, link_text
from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.options.parsers import program_name

UNIX_SOCKETS = Path("/proc/net/unix")
LISTENS = "00010000"
"""The kernel's flag of a socket that somebody listens at."""
SOCKET = "control.sock"
PATIENCE = 1.0
"""Seconds for the answers of all of them together."""
HEADINGS = ("context", "pid", "version", "link", "control socket")


class Context(NamedTuple):
    """One process. `name`: its side and its own name, followed by its data directory where two are called the same."""

    name: str
    path: Path
    facts: dict[str, Any]
    """As its control socket told them: `process` and `link` (docs/reference/control-socket.md)."""


def running_contexts() -> list[Context]:
    """Those that answer, by name; after PATIENCE nobody is waited for."""
    try:
        table = UNIX_SOCKETS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # another kernel than Linux
        return []
    return _named(_answers(listening_paths(table)))


def check_served(path: Path) -> None:
    """UsageError when nobody listens at this control socket."""
    client = ControlClient(path)
    try:
        client.check_reachable()
    finally:
        client.close()


def is_served(path: Path) -> bool:
    """Whether somebody listens at this control socket."""
    try:
        check_served(path)
    except UsageError:
        return False
    return True


def listening_paths(table: str) -> list[Path]:
    """The control sockets in the kernel's table of Unix sockets.

    >>> listening_paths("Num RefCount Protocol Flags Type St Inode Path\\n0: 2 0 00010000 0001 01 7 /e/control.sock\\n1: 3 0 00000000 0001 03 8 /e/control.sock")
    [PosixPath('/e/control.sock')]
    """
    rows = (line.split(maxsplit=7) for line in table.splitlines()[1:])
    paths = {Path(row[7]) for row in rows if len(row) == 8 and row[3] == LISTENS}
    return sorted(path for path in paths if path.name == SOCKET and path.is_absolute())


def _answers(paths: Iterable[Path]) -> dict[Path, dict[str, Any]]:
    clients = [ControlClient(path) for path in paths]
    heard: queue.Queue[tuple[Path, dict[str, Any] | None]] = queue.Queue()
    for client in clients:
        threading.Thread(target=_ask, args=(client, heard), name="context", daemon=True).start()
    until, found = time.monotonic() + PATIENCE, {}
    for _ in clients:
        try:
            path, facts = heard.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        if facts is not None:
            found[path] = facts
    for client in clients:
        client.cancel()
    return found


def _ask(client: ControlClient, heard: queue.Queue[tuple[Path, dict[str, Any] | None]]) -> None:
    facts = None
    try:
        facts = client.ask("tree")
    except KubeEdgeActorsError:  # of another user, or it ends just now: it is none that can be watched
        pass
    finally:
        client.close()
        heard.put((client.path, facts))


def _named(found: dict[Path, dict[str, Any]]) -> list[Context]:
    names = {path: _name(path, facts) for path, facts in found.items()}
    seen = Counter(names.values())
    made = [
        Context(name if seen[name] == 1 else f"{name} {path.parent}", path, found[path]) for path, name in names.items()
    ]
    return sorted(made, key=lambda context: context.name)


def _name(path: Path, facts: dict[str, Any]) -> str:
    process = facts.get("process") or {}
    return f"{process['side']} {process['name']}" if process else str(path.parent)


def chosen_context(contexts: Sequence[Context], name: str) -> Context:
    """The one that is called so: by its whole name, or by one word of it if no other has that. UsageError: none, or several."""
    meant = [each for each in contexts if each.name == name] or [
        each for each in contexts if name in (*each.name.split(), str(each.path))
    ]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise UsageError(f"{name!r} may mean {names_text(meant)}")
    raise UsageError(
        f"nothing called {name!r} runs here; there is {names_text(contexts)}" if contexts else nothing_runs()
    )


def names_text(contexts: Sequence[Context]) -> str:
    """Their names for a sentence."""
    return ", ".join(repr(each.name) for each in contexts)


def nothing_runs() -> str:
    """The sentence for a machine on which nothing is to be watched."""
    return (
        f"no cloud or edge answers on this machine: start one (`{program_name()} edge --name edge-1 --data-dir E`), "
        "or say where it is by --data-dir"
    )


def contexts_text(contexts: Sequence[Context]) -> str:
    """A table of them."""
    return aligned([HEADINGS, *(_row(each) for each in contexts)])


def _row(context: Context) -> tuple[str, ...]:
    process = context.facts.get("process") or {}
    pid, version = str(process.get("pid", "")), str(process.get("version", ""))
    return context.name, pid, version, link_text(context.facts), str(context.path)


def contexts_view(contexts: Sequence[Context]) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [{"name": each.name, "socket": str(each.path), "process": each.facts.get("process")} for each in contexts]
