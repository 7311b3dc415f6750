"""The Python on the pages for authors of modules is executed, block after block of a page."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import msgspec
import pytest

from kubeedge_actors import ChildSpec, MailboxSpec, Module
from kubeedge_actors.module_settings import ModuleSettings
from kubeedge_actors.supervisors import Actor

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("page", ["messages.md", "modules.md"])
def test_the_python_on_a_page_does_what_it_says(page: str) -> None:
    text = (REFERENCE / page).read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert examples
    namespace: dict[str, object] = {"__name__": page.partition(".")[0]}
    for example in examples:
        exec(compile(example, page, "exec"), namespace)


def test_the_page_of_modules_has_every_public_name_and_every_field_of_the_specs() -> None:
    text = (REFERENCE / "modules.md").read_text(encoding="utf-8")
    cells = " ".join(line.partition("|")[2].partition(" |")[0] for line in text.splitlines() if line.startswith("| `"))
    told = set(re.findall(r"`(?:self\.)?(\w+)", cells))
    own = {name for name in {*dir(Module), *Module.__annotations__, *Actor.__annotations__} if not name.startswith("_")}
    fields = {field.name for spec in (ChildSpec, MailboxSpec) for field in dataclasses.fields(spec)}
    assert own | fields <= told
    keys = {field.encode_name for field in msgspec.structs.fields(ModuleSettings)}
    assert keys <= told
