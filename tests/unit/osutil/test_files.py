"""Files of the owner alone, written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kubeedge_actors.errors import DriverError
from kubeedge_actors.osutil.files import ensure_private_file, write_atomically


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_private_file_is_made_once_and_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    ensure_private_file(path)
    assert mode(path) == 0o600
    path.write_text("x", encoding="utf-8")
    ensure_private_file(path)
    assert path.read_text(encoding="utf-8") == "x"


def test_an_atomic_write_makes_its_folders_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    write_atomically(path, b"x", 0o644)
    assert (path.read_bytes(), mode(path), mode(path.parent)) == (b"x", 0o644, 0o700)


def test_a_full_disk_leaves_the_old_content_and_is_a_driver_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kubeconfig"
    write_atomically(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DriverError, match=r"kubeconfig can not be written: No space left on device") as caught:
        write_atomically(path, b"new")
    assert type(caught.value) is DriverError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["kubeconfig"]
