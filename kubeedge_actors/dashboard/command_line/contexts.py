"""The cloud and edge processes that run on this machine, found by the control sockets that they listen at."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.control.formatting import aligned, link_text
from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.options.parsers import program_name
from kubeedge_actors.osutil.printable import printable

log = logging.getLogger(__name__)

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
    process: Mapping[str, Any] = {}
    """As its control socket told it (docs/reference/control-socket.md)."""
    link: str = ""


def running_contexts() -> list[Context]:
    """Those that answer, by name; after PATIENCE nobody is waited for."""
    try:
        table = UNIX_SOCKETS.read_text(encoding="utf-8", errors="replace")
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


def _answers(paths: Iterable[Path]) -> list[Context]:
    clients = [ControlClient(path) for path in paths]
    heard: queue.Queue[Context | None] = queue.Queue()
    for client in clients:
        threading.Thread(target=_ask, args=(client, heard), name="context", daemon=True).start()
    until, found = time.monotonic() + PATIENCE, []
    for _ in clients:
        try:
            found.append(heard.get(timeout=max(0.0, until - time.monotonic())))
        except queue.Empty:
            break
    for client in clients:
        client.cancel()
    return [context for context in found if context is not None]


def _ask(client: ControlClient, heard: queue.Queue[Context | None]) -> None:
    context = None
    try:
        context = _context(client.path, client.ask("tree"))
    except (KubeEdgeActorsError, AttributeError, KeyError, TypeError, ValueError) as error:
        # of another user, it ends just now, or something else listens there: it is none that can be watched
        log.debug("%s is no context: %s", client.path, error)
    finally:
        client.close()
        heard.put(context)


def _context(path: Path, facts: Any) -> Context:
    process = facts.get("process") or {}
    name = f"{process['side']} {process['name']}" if process else str(path.parent)
    return Context(printable(name), path, process, link_text(facts))


def _named(found: Sequence[Context]) -> list[Context]:
    seen = Counter(each.name for each in found)
    made = [each if seen[each.name] == 1 else each._replace(name=f"{each.name} {each.path.parent}") for each in found]
    return sorted(made, key=lambda context: context.name)


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
    pid, version = str(context.process.get("pid", "")), str(context.process.get("version", ""))
    return context.name, pid, version, context.link, str(context.path)


def contexts_view(contexts: Sequence[Context]) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [{"name": each.name, "socket": str(each.path), "process": dict(each.process)} for each in contexts]
