"""An actor of Thespian's, as one would write it."""

from __future__ import annotations

from thespian.actors import Actor  # type: ignore[import-untyped]


class Answering(Actor):  # type: ignore[misc]  # an untyped library
    """Answers numbers, takes the rest."""

    def receiveMessage(self, message: object, sender: object) -> None:
        """Answer."""
        if isinstance(message, int):
            self.send(sender, message)
