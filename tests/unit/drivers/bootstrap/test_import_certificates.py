"""A node that changes from KubeEdge's edgecore to ours goes on with the certificate that it has."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kubeedge_actors.drivers.bootstrap.import_certificates import NAMES, import_certificates


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """What edgecore left: CA, certificate, key."""
    names = [tmp_path / "old" / name for name in ("rootCA.crt", "server.crt", "server.key")]
    names[0].parent.mkdir()
    for name in names:
        name.write_text(f"content of {name.name}", encoding="ascii")
    return [str(name) for name in names]


def test_the_files_are_copied_and_the_key_stays_private(tmp_path: Path, files: list[str]) -> None:
    assert import_certificates(tmp_path / "certs", files)
    copies = [tmp_path / "certs" / name for name in NAMES]
    assert [path.read_text(encoding="ascii") for path in copies] == [f"content of {Path(name).name}" for name in files]
    assert stat.S_IMODE(copies[2].stat().st_mode) == 0o600


def test_a_certificate_of_ones_own_is_not_written_over(tmp_path: Path, files: list[str]) -> None:
    own = tmp_path / "certs" / "node.crt"
    own.parent.mkdir()
    own.write_text("mine", encoding="ascii")
    assert not import_certificates(own.parent, files)
    assert own.read_text(encoding="ascii") == "mine"


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_an_incomplete_set_is_left_alone(tmp_path: Path, files: list[str], missing: int) -> None:
    Path(files[missing]).unlink()
    assert not import_certificates(tmp_path / "certs", files)
    assert not (tmp_path / "certs").exists()


def test_no_files_are_nothing_to_take_over(tmp_path: Path) -> None:
    assert not import_certificates(tmp_path / "certs", ("", "", ""))
