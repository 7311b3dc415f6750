"""YAML from outside: a document, or NotYaml with the line; nothing else is raised."""

from __future__ import annotations

import pytest

from kubeedge_actors.yaml_documents import NotYaml, yaml_document


@pytest.mark.parametrize(
    "value",
    [
        *("2001-01-00", "2001-01-01T25:00:00Z", "!!timestamp x", "!!bool 7", "!!int ''", "!!int 0x", "!!int x"),
        *("!!float ''", '!!binary "\xe4"', "!!map 7", "!!seq x", "{[]: 1}", "!!int " + "9" * 5_000),
    ],
    ids=lambda value: value[:20],
)
def test_a_value_that_is_not_of_its_type_is_named_with_its_line(value: str) -> None:
    with pytest.raises(NotYaml) as caught:
        yaml_document(f"a: 1\nb: {value}\n")
    assert caught.value.line == 2 and len(str(caught.value)) < 300
