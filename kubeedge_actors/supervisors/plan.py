"""What a supervisor is about to do with several children. Pure."""

from __future__ import annotations

from typing import Generic, TypeVar

Child = TypeVar("Child")


class Plan(Generic[Child]):
    """Children to stop, a delay, then children to start: one after the other, each step when the one before is done.

    A supervisor has one plan at a time. A newer one replaces it and has to include what it left undone: a failure
    during a group restart is of a child in the group or before it, so the new group contains the old one.

    >>> plan = Plan(["b", "a"], ["a", "b"], delay=0.0, attempt=1)
    >>> plan.next(), plan.done("b"), plan.next(), plan.done("a"), plan.stop, plan.next()
    ('b', True, 'a', True, [], 'a')
    """

    __slots__ = ("advancing", "attempt", "delay", "start", "steps", "stop")

    def __init__(self, stop: list[Child], start: list[Child], delay: float, attempt: int) -> None:
        self.stop, self.start, self.delay, self.attempt = stop, start, delay, attempt
        self.advancing = False
        self.steps = 0

    def next(self) -> Child | None:
        """The child of the present step; None when the delay comes, or nothing."""
        if self.stop:
            return self.stop[0]
        return self.start[0] if self.start and self.delay <= 0 else None

    def done(self, child: Child) -> bool:
        """The present step is done, if it is this child's; False otherwise."""
        if self.next() is not child:
            return False
        del (self.stop or self.start)[0]
        self.steps += 1
        return True
