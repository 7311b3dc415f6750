"""What every user of a paho client needs at its end."""

from __future__ import annotations

from paho.mqtt.client import Client


def leave(client: Client) -> None:
    """Say goodbye, end the client's thread and close its sockets: paho closes those by which it wakes its thread only when
    the client is collected.
    """
    client.disconnect()
    client.loop_stop()
    client._reset_sockets()
