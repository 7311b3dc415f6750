"""What the browser gets: one page, and of textual-serve the program that shows a terminal in it, its style and its font."""

from __future__ import annotations

import html
import secrets
from importlib import resources
from importlib.resources.abc import Traversable

LIBRARY = "textual_serve"
SCRIPT, STYLE, FONT = "js/textual.js", "css/xterm.css", "fonts/RobotoMono-VariableFont_wght.ttf"
KINDS = {SCRIPT: "text/javascript", STYLE: "text/css", FONT: "font/ttf"}
"""The files that are served; no other one is."""
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer: nothing of it, the token in the address least of all, comes to another site or stays on a disk."""
POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# -first-byte and -closed are set by the script, which finds its terminal by the class; the dots have the font loaded before it measures a letter
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/{token}/static/css/xterm.css">
<style>
@font-face {{ font-family: "Roboto Mono"; src: url("/{token}/static/fonts/RobotoMono-VariableFont_wght.ttf"); font-weight: 100 700; }}
html, body {{ height: 100%; margin: 0; background: #000; color: #ccc; font: 16px "Roboto Mono", monospace; overflow: hidden; }}
#terminal {{ height: 100%; }}
.xterm-viewport {{ overflow: hidden !important; }}
#wait, #over {{ position: absolute; left: 0; padding: 4px 8px; z-index: 20; }}
#over {{ bottom: 0; right: 0; background: #333; display: none; }}
#over a {{ color: #fff; }}
body.-first-byte #wait, body.-closed #wait {{ display: none; }}
body.-closed #over {{ display: block; }}
</style>
<script src="/{token}/static/js/textual.js"></script>
</head>
<body>
<div id="wait">connecting ... <b>.</b></div>
<div id="over">This screen has ended. <a href="/{token}/">Open another one</a></div>
<div id="terminal" class="textual-terminal" data-session-websocket-url="ws://{host}/{token}/ws" data-font-size="16"></div>
<script nonce="{nonce}">
addEventListener("load", () => setTimeout(() => document.querySelector(".xterm-helper-textarea").focus()));
</script>
</body>
</html>
"""


def page(host: str, token: str, title: str) -> tuple[str, dict[str, str]]:
    """The page and its headers; `host`: as the browser calls us, with the port. It loads and runs what comes from us alone."""
    nonce = secrets.token_urlsafe()
    text = PAGE.format(host=html.escape(host), token=html.escape(token), title=html.escape(title), nonce=nonce)
    return text, {**HEADERS, "Content-Security-Policy": POLICY.format(host=host, nonce=nonce)}


def static_file(name: str) -> Traversable | None:
    """A file of textual-serve's, None for one that is not served. ImportError: the library is not there."""
    return resources.files(LIBRARY).joinpath("static", *name.split("/")) if name in KINDS else None
