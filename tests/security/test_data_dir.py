"""A data directory that somebody else could have prepared, or could change, is not used; nor is a link in it, or on the way to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kubeedge_actors.assembly.datadir import DataDir
from kubeedge_actors.errors import StoreError, UsageError
from kubeedge_actors.osutil import ownership
from kubeedge_actors.osutil.files import ensure_private_file
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "edge"
    path.mkdir(0o700)
    return path


def refused(path: Path) -> str:
    with pytest.raises(UsageError) as error:
        DataDir(path)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"the data directory {path} ")


def owned_by_others(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    """As if these belonged to user 4711, whoever runs the tests."""
    real, real_lstat, others = Path.stat, Path.lstat, set(paths)

    def other(status: os.stat_result) -> os.stat_result:
        values = list(status)
        values[4] = 4711
        return os.stat_result(values)

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(self, follow_symlinks=follow_symlinks)
        return other(found) if self in others else found

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(Path, "lstat", lambda self: other(real_lstat(self)) if self in others else real_lstat(self))


def test_a_directory_of_ones_own_is_used_and_a_new_one_is_made_for_its_owner_alone(folder: Path) -> None:
    DataDir(folder).close()
    new = folder.parent / "new"
    DataDir(new).close()
    assert new.stat().st_mode & 0o777 == 0o700


def test_another_users_directory_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owned_by_others(monkeypatch, folder)
    assert (
        refused(folder) == "belongs to another user (uid 4711): run it as that one, or give it a directory of its own"
    )
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o702])
def test_a_directory_that_others_can_change_is_not_used(mode: int, folder: Path) -> None:
    folder.chmod(mode)
    assert refused(folder) == "can be changed by other users: chmod go-w"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["lock", "edge.db", "edge.db-wal", "certs", "control.sock", "pods", "certs/node.key", "pods/x"]
)
def test_a_link_in_it_is_not_followed(name: str, folder: Path) -> None:
    target = folder.parent / "target"
    target.write_bytes(b"precious")
    place = folder / name
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(target)
    assert refused(folder) == f"holds {place}, a link: what belongs there is kept in the place itself"
    assert target.read_bytes() == b"precious"


def test_a_hard_link_in_it_is_not_used(folder: Path) -> None:
    (folder.parent / "target").write_bytes(b"precious")
    os.link(folder.parent / "target", folder / "edge.db")
    assert refused(folder) == f"holds {folder / 'edge.db'}, which has another name elsewhere (a hard link)"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_what_another_user_has_put_there_is_not_used(make: Callable[[Path], None], folder: Path) -> None:
    make(folder / "edge.db")
    os.chown(folder / "edge.db", 4711, 4711)
    assert refused(folder) == f"holds {folder / 'edge.db'}, which belongs to another user (uid 4711)"


def test_a_folder_in_it_that_everybody_can_change_is_not_used(folder: Path) -> None:
    (folder / "pods").mkdir()
    (folder / "pods").chmod(0o777)
    assert refused(folder) == f"holds {folder / 'pods'}, which can be changed by other users: chmod o-w"


def test_a_link_on_the_way_is_followed_unless_another_user_has_made_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    DataDir(link).close()
    owned_by_others(monkeypatch, link)
    assert ownership.why_not_ours(link) == f"is reached by {link}, a link of another user"
    assert ownership.why_not_ours(link / ".." / folder.name) == f"is reached by {link}, a link of another user"


def test_a_file_is_not_made_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    with pytest.raises(OSError, match="symbolic links"):
        ensure_private_file(tmp_path / "a")
    from kubeedge_actors.drivers.store.sqlite import SqliteStore

    with pytest.raises(StoreError, match="can not be opened"):
        SqliteStore(tmp_path / "a")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("side", ["edge", "cloud"])
def test_a_command_ends_with_that_sentence(side: str, folder: Path) -> None:
    folder.chmod(0o777)
    ports = [str(port) for port in free_ports(3)]
    options = (
        ["--mqtt-port", ports[0]]
        if side == "edge"
        else ["--api-port", ports[0], "--hub-port", ports[1], "--https-port", ports[2]]
    )
    command = (sys.executable, "-m", f"kubeedge_actors.{side}", "--data-dir", str(folder), *options)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    sentence = f"{side}: the data directory {folder} can be changed by other users: chmod go-w"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, sentence)
