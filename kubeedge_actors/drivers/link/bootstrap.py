"""The words of the certificate bootstrap that both of its ends say (source: KubeEdge cloud/pkg/cloudhub/servers/httpserver)."""

from __future__ import annotations

from typing import Final

CA_PATH: Final = "/ca.crt"
CERTIFICATE_PATH: Final = "/edge.crt"
NODE_PATH: Final = "/node/"

NODE_HEADER: Final = "nodename"
USAGES_HEADER: Final = "extkeyusages"
TOKEN_HEADER: Final = "authorization"

BINARY: Final = "application/octet-stream"
TEXT: Final = "text/plain; charset=utf-8"
MAX_BODY: Final = 1 << 20
