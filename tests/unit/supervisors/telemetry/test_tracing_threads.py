"""Following may be switched on and off at any moment, under load: no message is lost, none overtakes another."""

from __future__ import annotations

import threading
from collections import defaultdict

import pytest

from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ActorSystem, MailboxSpec, Overflow, SupervisorSpec, ThreadsEngine
from kubeedge_actors.supervisors.telemetry.tracing import Span, Tracer
from tests.support.waiting import PATIENCE

TELLERS, EACH = 3, 30_000


class Counter(Module):
    """Keeps the numbers of each teller in the order in which they came."""

    name = "counter"

    def __init__(self, seen: dict[int, list[int]], done: threading.Event) -> None:
        self._seen, self._done = seen, done

    @on(batch=16)
    def take(self, pairs: list[tuple]) -> None:  # type: ignore[type-arg]
        for teller, number in pairs:
            self._seen[teller].append(number)
        if sum(map(len, self._seen.values())) == TELLERS * EACH:
            self._done.set()


@pytest.mark.parametrize("overflow", [Overflow.BLOCK, Overflow.COALESCE], ids=lambda each: each.value)
def test_nothing_is_lost_and_the_order_is_kept_while_it_is_switched(overflow: Overflow) -> None:
    seen: dict[int, list[int]] = defaultdict(list)
    done, spans = threading.Event(), list[Span]()
    key = (lambda message: message) if overflow is Overflow.COALESCE else None
    system = ActorSystem(ThreadsEngine())
    spec = Counter.spec(lambda: Counter(seen, done), mailbox=MailboxSpec(50, overflow, key))
    system.start(SupervisorSpec("root", [spec]))
    tracer = Tracer(system.clock, spans.append, lambda *_: True, lambda message: ())

    def tell(teller: int) -> None:
        for number in range(EACH):
            system.ref("counter").tell((teller, number))

    tellers = [threading.Thread(target=tell, args=(teller,)) for teller in range(TELLERS)]
    for each in tellers:
        each.start()
    for turn in range(100_000):
        system.set_tracer(tracer if turn % 2 else None)
        if done.wait(0.001):
            break
    for each in tellers:
        each.join()
    system.stop(PATIENCE)
    assert seen == {teller: list(range(EACH)) for teller in range(TELLERS)}
    assert {span.outcome for span in spans} == {"handled"}
