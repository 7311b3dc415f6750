"""A row of the table of fields. Pure data."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

Support = Literal["honoured", "refused", "no effect", "cluster", "cgroup"]
"""What a runtime does about a field: as a kubelet does; refuse the container (or the volume) in words of the pod's status;
run it without, which is told in the pod's Event NoEffect. `cluster`: nothing for a node to do: the API server, the
scheduler or a controller acts on it. `cgroup`: honoured by a cgroup of the node, without effect where it has none for us.
"""
HONOURED: Final = "honoured"
REFUSED: Final = "refused"
NO_EFFECT: Final = "no effect"
CLUSTER: Final = "cluster"
CGROUP: Final = "cgroup"

ANY: Final = ("*",)
"""As `neutral`: a general sentence of the runtime's NoEffect tells of all such fields."""


class Field(msgspec.Struct, frozen=True):
    """One field of a type of Kubernetes' API (v1). `neutral`: values that ask for nothing, besides none, false, 0 and empty
    ones. `type`: of what is in it, whose fields have rows of their own. `note`: for the page; `refusal`: the sentence of a
    field that is refused, with `{value}`.
    """

    name: str
    docker: Support
    process: Support
    note: str = ""
    neutral: tuple[Any, ...] = ()
    type: str = ""
    refusal: str = ""

    def support(self, runtime: str) -> Support:
        """What this runtime (docker, process) does about it."""
        return self.process if runtime == "process" else self.docker

    def asks_for_something(self, value: Any) -> bool:
        """Whether this value wants something of the node."""
        if self.neutral == ANY or any(value is each or value == each for each in self.neutral):
            return False
        return bool(value) or (value is False and True in self.neutral)


Fields = tuple[Field, ...]


def each(names: str, docker: Support, process: Support | None = None, note: str = "", **more: Any) -> Fields:
    """A row for each of these names, all alike; without `process` both runtimes do the same."""
    return tuple(Field(name, docker, process or docker, note, **more) for name in names.split())
