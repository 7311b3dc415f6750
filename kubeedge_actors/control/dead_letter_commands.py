"""What can be asked about dead letters: list them, replay or drop one or many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from kubeedge_actors.control.request_fields import count, letter_id, letter_ids
from kubeedge_actors.control.views import dead_letter_view
from kubeedge_actors.deadletters.durable_dead_letters import DurableDeadLetters, row_of
from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.supervisors import ActorSystem

Json = dict[str, Any]
LETTERS = 1_000
"""How many dead letters are told unless more are asked for: an edge that makes them counts its megabytes."""
MAX_IDS = 1_000
"""How many may be replayed or dropped by one request."""


class DeadLetterCommands:
    """Answers about the dead letters of a system. `letters`: where they are kept; without it they can be listed, not replayed or dropped."""

    def __init__(self, system: ActorSystem, letters: DurableDeadLetters | None) -> None:
        self._system, self._letters = system, letters
        self.answers: dict[str, Callable[[Json], Any]] = {
            "deadletters": self._list,
            "replay": self._replay,
            "drop": self._drop,
        }

    def kept(self) -> int:
        """How many there are to list."""
        return len(self._system.dead_letters) if self._letters is None else self._letters.kept

    def _list(self, request: Json) -> Sequence[Json]:
        newest = count(request, "newest", LETTERS)
        if self._letters is not None:
            return [dead_letter_view(row) for row in self._letters.letters(newest)]
        return [dead_letter_view(row_of(letter)) for letter in list(self._system.dead_letters)[-newest:]]

    def _replay(self, request: Json) -> str | Json:
        if "ids" in request:
            return _each(letter_ids(request, "ids", MAX_IDS), partial(self._store().replay, system=self._system))
        return self._store().replay(letter_id(request["id"]), self._system)

    def _drop(self, request: Json) -> int | Json:
        if "ids" in request:
            numbers = letter_ids(request, "ids", MAX_IDS)
            dropped = self._store().file.drop_all(numbers)
            done, gone = (
                [each for each in numbers if each in dropped],
                [each for each in numbers if each not in dropped],
            )
            return {"done": done, "failed": {str(number): _no_letter(number) for number in gone}}
        number = letter_id(request["id"])
        if not self._store().file.drop(number):
            raise UsageError(_no_letter(number))
        return number

    def _store(self) -> DurableDeadLetters:
        if self._letters is None:
            raise UsageError("the dead letters of this process are not kept, so none can be replayed or dropped")
        return self._letters


def _each(numbers: Iterable[int], act: Callable[[int], object]) -> Json:
    """Do it to each; one that fails does not keep the others from it."""
    done: list[int] = []
    failed: dict[str, str] = {}
    for number in numbers:
        try:
            act(number)
            done.append(number)
        except KubeEdgeActorsError as error:
            failed[str(number)] = str(error)
    return {"done": done, "failed": failed}


def _no_letter(number: int) -> str:
    return f"there is no dead letter {number}"
