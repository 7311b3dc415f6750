"""Constants of the certificate bootstrap, and the orders of an edge to its joining process.

Source of the words: KubeEdge cloud/pkg/cloudhub/servers/httpserver.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

CA_PATH: Final = "/ca.crt"
CERTIFICATE_PATH: Final = "/edge.crt"
NODE_PATH: Final = "/node/"
UPGRADE_PATH: Final = "/nodeupgrade"
TASK_PATH: Final = re.compile(r"/task/[^/]+/name/[^/]+/node/[^/]+/status")

NODE_HEADER: Final = "nodename"
USAGES_HEADER: Final = "extkeyusages"
TOKEN_HEADER: Final = "authorization"

BINARY: Final = "application/octet-stream"
TEXT: Final = "text/plain; charset=utf-8"
MAX_BODY: Final = 1 << 20
MAX_REPORT: Final = 3 << 20


class JoinRequest(msgspec.Struct, frozen=True):
    """Join `cloud` (https://host:port) as `node`; without `token`: renew, showing the certificate there is."""

    cloud: str
    node: str
    ca: str
    cert: str
    key: str
    token: str = ""


class JoinResult(msgspec.Struct, frozen=True):
    """Result of a JoinRequest: no `error`, or a sentence; `final`: a retry is of no use before a person has acted."""

    error: str = ""
    final: bool = False
