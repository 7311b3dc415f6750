"""What the cloud's certificate is for, and what a person is told of it."""

from __future__ import annotations

import socket

import pytest

from kubeedge_actors.assembly import own_names


def test_a_cloud_for_all_addresses_has_the_names_of_the_machine_and_the_one_it_goes_out_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", ("127.0.1.1", 0))])
    monkeypatch.setattr(own_names, "route_address", lambda: "192.168.1.7")
    assert own_names.names_of_machine("0.0.0.0") == ["192.168.1.7", "box", "127.0.1.1"]
    assert own_names.names_of_machine("10.0.0.5") == ["10.0.0.5"]


def test_a_machine_whose_name_stands_for_nothing_has_its_name_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    monkeypatch.setattr(own_names, "route_address", str)
    assert own_names.names_of_machine("::") == ["box"]


def test_the_hint_names_each_name_once() -> None:
    hint = own_names.how_to_advertise(["192.168.1.7", "127.0.0.1"])
    assert (
        hint.startswith("its certificate is for 192.168.1.7, 127.0.0.1, localhost: ") and "--advertise ADDRESS" in hint
    )
