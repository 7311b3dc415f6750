"""docs/tutorial/supervised-actors.md: test_shell_blocks.py types the page; here its programs are checked as their author's editor would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import kubeedge_actors
from tests.docs.pages import blocks
from tests.support.waiting import WHOLE_PROGRAM

ROOT = Path(kubeedge_actors.__file__).parent.parent


def test_mypy_is_content_with_the_programs_of_the_page(tmp_path: Path) -> None:
    files = [each for each in blocks(ROOT / "docs" / "tutorial" / "supervised-actors.md") if each.file]
    for each in files:
        (tmp_path / each.file).write_text(each.text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache", *(each.file for each in files)],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=WHOLE_PROGRAM,
        check=False,
    )
    assert done.stdout == f"Success: no issues found in {len(files)} source files\n", done.stdout + done.stderr
