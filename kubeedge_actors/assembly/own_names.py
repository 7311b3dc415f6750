"""Under which names and addresses a cloud may be reached: what its certificate has to name, and what a person is told of it."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from kubeedge_actors.config import CloudConfig
from kubeedge_actors.drivers.pki.file_authority import ALWAYS
from kubeedge_actors.osutil.sockets import route_address

ANY_ADDRESS = ("0.0.0.0", "::", "")


def names_of_machine(host: str) -> list[str]:
    """What nodes and kubectl may call this machine: the address it binds, or every name it knows of itself."""
    if host not in ANY_ADDRESS:
        return [host]
    own = socket.gethostname()
    try:
        names = {str(info[4][0]) for info in socket.getaddrinfo(own, None)}
    except OSError:
        names = set()  # a host name that resolves to nothing
    names |= {own, *filter(None, [route_address()])}  # its name often stands for loopback only
    return sorted(names, key=lambda name: (name.startswith("127."), name))


def how_to_reach(config: CloudConfig, *, has_streams: bool) -> str:
    """Where nodes and people find a cloud, and what of it there is not."""
    kubectl = f"kubectl --kubeconfig {config.kubeconfig or config.data_dir / 'kubeconfig'}"
    look = "kubectl as the service account of this pod" if config.in_cluster else kubectl
    streams = "" if has_streams or config.tunnel_port == 0 else ", no kubectl logs and exec (--tunnel-port)"
    return f"nodes on {config.host}:{config.hub_port}, {look}{streams}"


def how_to_advertise(names: Sequence[str]) -> str:
    """By which names nodes may dial a cloud that listens everywhere."""
    valid_names = ", ".join(dict.fromkeys([*names, *ALWAYS]))
    return f"its certificate is for {valid_names}: nodes dial one of these, or start it with --advertise ADDRESS for another"
