"""A node tells an address that others can use, wherever its cloud is."""

from __future__ import annotations

import pytest

from kubeedge_actors.osutil.sockets import LOOPBACK, node_address

OUT = "192.0.2.7"
ROUTES = {"203.0.113.1": "198.51.100.4", "127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "192.0.2.1": OUT}


@pytest.mark.parametrize(
    ("cloud", "address"),
    [
        ("https://203.0.113.1:10002", "198.51.100.4"),
        ("https://127.0.0.1:10002", OUT),
        ("https://localhost:10002", OUT),
        ("https://[::1]:10002", OUT),
        ("https://no.such.host:10002", OUT),
        ("", OUT),
    ],
)
def test_the_address_is_none_that_only_this_machine_can_use(cloud: str, address: str) -> None:
    assert node_address(cloud, lambda host, port: ROUTES.get(host, "")) == address


def test_a_machine_without_a_way_out_has_loopback_only() -> None:
    assert (
        node_address("https://127.0.0.1:10002", lambda host, port: ROUTES[host] if host == LOOPBACK else "") == LOOPBACK
    )
