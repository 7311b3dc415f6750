"""Where the browser's screen is served, and who may ask for it. Pure."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence

from kubeedge_actors.errors import UsageError
from kubeedge_actors.osutil.sockets import LOOPBACK, bracketed, is_cross_site, is_loopback

TOKEN_BYTES = 32
HIGHEST_PORT = 65_535
NO_TOKEN = "the address lacks the token: open the whole address that the dashboard has printed"
CROSS_SITE = "this was asked for by a page of another site"


def serve_address(text: str) -> tuple[str, int]:
    """Host and port of `[HOST:]PORT`; port 0 takes a free one. UsageError: it is none, or others than this machine would reach it.

    >>> serve_address("8000"), serve_address("localhost:0"), serve_address("[::1]:8000")
    (('127.0.0.1', 8000), ('localhost', 0), ('::1', 8000))
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or LOOPBACK
    if not (port.isascii() and port.isdigit() and int(port) <= HIGHEST_PORT):
        raise UsageError(f"--serve {text}: that is no port and no HOST:PORT")
    if not is_loopback(host):
        raise UsageError(
            f"--serve {text}: only addresses of this machine's loopback are served, for what goes over the network there is neither encrypted nor "
            f"known to come from us; from another machine: ssh -L {port}:{LOOPBACK}:{port} THIS-MACHINE, and the address as it is printed"
        )
    return host, int(port)


def page_url(host: str, port: int, token: str) -> str:
    """What is opened in the browser.

    >>> page_url("::1", 8000, "secret")
    'http://[::1]:8000/secret/'
    """
    return f"http://{bracketed(host)}:{port}/{token}/"


class Access:
    """Refuses who does not know the token, and pages of other sites, which reach loopback through the browser of somebody who does.
    `token`: the first part of every path.
    """

    def __init__(self, token: str = "") -> None:
        self.token = token or secrets.token_urlsafe(TOKEN_BYTES)

    def refusal(self, path: str, hosts: Sequence[str], origins: Sequence[str], *, needs_origin: bool = False) -> str:
        """Why nothing is answered; empty when it is. `hosts`, `origins`: all headers of these names. A browser tells the origin of every
        websocket, so one without does not come from our page.

        >>> Access("t").refusal("/t/", ["localhost:1"], []), Access("t").refusal("/t/ws", ["localhost:1"], ["http://localhost:1"], needs_origin=True)
        ('', '')
        """
        if len(hosts) != 1 or len(origins) > 1 or is_cross_site(hosts[0], "".join(origins)):
            return CROSS_SITE
        if origins != [f"http://{hosts[0]}"] and (origins or needs_origin):
            return CROSS_SITE
        given = path.removeprefix("/").partition("/")[0]
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            return NO_TOKEN
        return ""
