"""`dashboard --serve`: the screen for a browser of this machine."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from importlib.util import find_spec

from kubeedge_actors.dashboard.browser.access import Access, page_url, serve_address
from kubeedge_actors.entrypoint import Shutdown, print_hint, print_ready
from kubeedge_actors.errors import UsageError
from kubeedge_actors.install_hint import install_hint
from kubeedge_actors.osutil import sockets

LIBRARIES = ("aiohttp", "textual", "textual_serve")
PASSED_ON = ("data_dir", "socket", "context", "view", "trace", "interval", "alert")
TELLS = "whoever has this address does here what you can do; a screen ends with its tab, all of them with this program (Ctrl-C)"


def serve_in_browser(options: argparse.Namespace, title: str, shutdown: Shutdown) -> None:
    """Until a signal asks for the end. UsageError: a library is not there, or the address can not be had."""
    host, port = serve_address(options.serve)
    if any(find_spec(name) is None for name in LIBRARIES):
        raise UsageError(
            f"the dashboard in a browser needs aiohttp, textual and textual-serve: {install_hint('serve')}"
        )
    try:
        listening = sockets.listen(host, port)
    except OSError as error:
        raise UsageError(f"--serve {options.serve}: {sockets.error_text(error)}") from error
    from kubeedge_actors.dashboard.browser.server import BrowserServer, serve

    access = Access()
    with listening:
        print_ready(page_url(host, listening.getsockname()[1], access.token), shutdown)
        print_hint("dashboard", TELLS)
        over: Callable[[], bool] = lambda: shutdown.requested  # noqa: E731
        asyncio.run(serve(BrowserServer(access, screen_command(options), title), listening, over))


def screen_command(options: argparse.Namespace) -> list[str]:
    """The dashboard of one tab: what was asked for here, but on a terminal."""
    values = [(name, getattr(options, name)) for name in PASSED_ON]
    words = [f"--{name.replace('_', '-')}={value}" for name, value in values if value]
    return [sys.executable, "-m", "kubeedge_actors.dashboard", *words, *(["--bell"] if options.bell else [])]
