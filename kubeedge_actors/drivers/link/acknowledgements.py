"""Whether the machine at the other end of a TCP connection still acknowledges, though the program there may read nothing. Linux."""

from __future__ import annotations

import socket
import struct

_TCP_INFO = struct.Struct("=24xI28xI")  # unacked and last_ack_recv (source: linux/tcp.h, struct tcp_info)
_MILLISECONDS = 1000.0


def acknowledges(connection: socket.socket, within: float) -> bool:
    """Whether nothing that was sent waits for its acknowledgement, or one came in the last `within` seconds.

    What the other side has no room for is not sent, and so waits for none.
    """
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    unacknowledged, last = _TCP_INFO.unpack(info)
    return not unacknowledged or last / _MILLISECONDS < within
