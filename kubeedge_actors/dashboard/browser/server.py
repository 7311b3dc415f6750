"""The server: a page, and for each websocket a dashboard. The frames are those of textual-serve's page."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from kubeedge_actors import depth_limit
from kubeedge_actors.dashboard.browser.access import Access
from kubeedge_actors.dashboard.browser.page import HEADERS, KINDS, page, static_file
from kubeedge_actors.dashboard.browser.terminal import BrowserTerminal

MOST_SCREENS = 8
"""At the same time: each is a process of 50 MB."""
MOST_BYTES = 1 << 18
"""Of a frame: what somebody pastes."""
HEARTBEAT = 10.0
"""Seconds between two looks whether the browser is still there; one that closes the tab says so at once."""
CLOSING = 1.0
LOOK = 0.2
"""Seconds between two looks whether the end was asked for."""
log = logging.getLogger(__name__)
USUAL = (80, 24)
FULL = f"there are {MOST_SCREENS} screens: close one first"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BrowserServer:
    """Gives whoever `access` lets in the page, and for each websocket a process of `command`. `title`: of the page."""

    def __init__(self, access: Access, command: Sequence[str], title: str) -> None:
        self._access, self._command, self._title = access, command, title
        self._screens: set[web.WebSocketResponse] = set()

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/{token}/", self._page)
        app.router.add_get("/{token}/ws", self._screen)
        app.router.add_get("/{token}/static/{name:.+}", self._file)
        app.on_shutdown.append(self._close)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """First of all, also for what there is not."""
        try:
            hosts, origins = request.headers.getall("Host", []), request.headers.getall("Origin", [])
            is_websocket = "upgrade" in request.headers
            if why := self._access.refusal(request.path, hosts, origins, needs_origin=is_websocket):
                return web.Response(status=403, text=f"{why}\n", headers=HEADERS)
            return await handler(request)
        except web.HTTPException:  # there is no such page
            raise
        except Exception as defect:  # aiohttp's own words for it have the address in them
            log.error("a defect ends a request of a browser", exc_info=defect)
            return web.Response(status=500, headers=HEADERS)

    async def _page(self, request: web.Request) -> web.Response:
        text, headers = page(request.host, self._access.token, self._title)
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = static_file(name)
        if found is None:
            return web.Response(status=404, headers=HEADERS)
        return web.Response(body=found.read_bytes(), content_type=KINDS[name], headers=HEADERS)

    # --- a screen -------------------------------------------------------------------------------------------------

    async def _screen(self, request: web.Request) -> web.StreamResponse:
        if len(self._screens) >= MOST_SCREENS:
            return web.Response(status=503, text=f"{FULL}\n", headers=HEADERS)
        connection = web.WebSocketResponse(heartbeat=HEARTBEAT, timeout=CLOSING, max_msg_size=MOST_BYTES)
        self._screens.add(connection)
        try:
            await connection.prepare(request)
            terminal = BrowserTerminal(self._command, *_size(request))
            try:
                await _joined(connection, terminal)
            finally:
                await terminal.close()
            await connection.close()
        finally:
            self._screens.discard(connection)
        return connection

    async def _close(self, _: web.Application) -> None:
        """The server ends: so do the screens."""
        await asyncio.gather(*(each.close(code=WSCloseCode.GOING_AWAY) for each in self._screens))


def _size(request: web.Request) -> tuple[int, int]:
    wanted = [request.query.get(side, "") for side in ("width", "height")]
    columns, rows = (int(each) if each.isdecimal() else usual for each, usual in zip(wanted, USUAL, strict=True))
    return columns, rows


async def _joined(connection: web.WebSocketResponse, terminal: BrowserTerminal) -> None:
    """Until either of them has ended."""
    ways = [asyncio.create_task(way(connection, terminal)) for way in (_typed, _drawn)]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in ways:
            each.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _drawn(connection: web.WebSocketResponse, terminal: BrowserTerminal) -> None:
    with contextlib.suppress(ConnectionError):  # the tab was closed meanwhile
        while data := await terminal.read():
            await connection.send_bytes(data)


async def _typed(connection: web.WebSocketResponse, terminal: BrowserTerminal) -> None:
    async for message in connection:
        if message.type is not WSMsgType.TEXT or not (answer := take_frame(message.data, terminal)):
            await connection.close(code=WSCloseCode.UNSUPPORTED_DATA)
        elif answer[0]:
            await connection.send_str(msgspec.json.encode(answer).decode())


def take_frame(text: str, terminal: BrowserTerminal) -> list[Any]:
    """Do what the page says: `["stdin", TEXT]`, `["resize", {"width": COLUMNS, "height": ROWS}]`, `["ping", ANYTHING]`, which is answered,
    `["focus"]`, `["blur"]`. The answer, its first part empty when there is none; an empty list: the frame is none.
    """
    try:
        match msgspec.json.decode(depth_limit.check_depth(text), type=list[Any]):
            case ["stdin", str(typed)]:
                terminal.write(typed.encode("utf-8", "replace"))
            case ["resize", {"width": int(columns), "height": int(rows)}]:
                terminal.resize(columns, rows)
            case ["ping", value]:
                return ["pong", value]
            case ["focus" | "blur"]:
                pass
            case _:
                return []
    except msgspec.DecodeError:
        return []
    return [""]


async def serve(server: BrowserServer, listening: socket.socket, is_over: Callable[[], bool]) -> None:
    """Until `is_over()`; then no screen is left."""
    silent = logging.getLogger(f"{__name__}.requests")
    silent.disabled = True  # what it would write of a request has the token in it
    runner = web.AppRunner(server.app(), access_log=None, handle_signals=False, logger=silent, shutdown_timeout=CLOSING)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        while not is_over():
            await asyncio.sleep(LOOK)
    finally:
        await runner.cleanup()
