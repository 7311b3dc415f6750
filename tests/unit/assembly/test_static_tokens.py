"""Users of the embedded API by token, as a kube-apiserver's --token-auth-file has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeedge_actors.apiserver.auth import User
from kubeedge_actors.assembly.static_tokens import static_tokens
from kubeedge_actors.errors import UsageError

LONG = "0123456789abcdef"


def test_a_line_is_a_token_a_user_and_its_groups(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text(f'# ours\n{LONG},anna,1,"system:masters, x"\n{LONG}2,ben,2\n')
    assert static_tokens(file) == {LONG: User("anna", ("system:masters", "x")), f"{LONG}2": User("ben")}


@pytest.mark.parametrize("text", ["short,anna,1", f"{LONG}", f"{LONG},", f"{LONG},a,1\n{LONG},b,2", f'{LONG},"a'])
def test_what_is_no_such_line_ends_the_start_with_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match="--token-auth-file"):
        static_tokens(file)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can not be read"):
        static_tokens(tmp_path / "none")
