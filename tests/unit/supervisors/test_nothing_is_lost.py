"""All promises at once: whatever is sent, crashed, hung, restarted and stopped, each message is handled, queued or a
dead letter, exactly one of them, and in order per sender.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from kubeedge_actors.errors import ActorStopped
from kubeedge_actors.supervisors import (
    Actor,
    Backoff,
    ChildSpec,
    InlineEngine,
    Intensity,
    MailboxSpec,
    OneForAll,
    OneForOne,
    Overflow,
    RestForOne,
    SupervisorSpec,
)
from tests.support.env.supervisors import ENGINES, ActorSystemEnv, Boom, Stop
from tests.support.plugins.hypothesis_profile import examples
from tests.support.waiting import PATIENCE

NAMES = ("a", "b", "c", "d")
DEADLINE = 3.0
TROUBLES = st.one_of(
    *[st.just(())] * 3, st.lists(st.sampled_from(["crash", "crash", "stop", "hang"]), min_size=1, max_size=4).map(tuple)
)
"""What parcels do to their actors: mostly nothing."""
ONCE = {"crash": Boom, "stop": Stop}


@dataclass(eq=False)
class Parcel:
    """A message that knows what it does to its actor: `woes` on the first deliveries, then it is handled."""

    sender: str
    number: int
    woes: tuple[str, ...] = ()
    forward: str = ""
    deliveries: int = field(default=0)


class Clerk(Actor):
    """Does what parcels say, one by one or in batches."""

    def __init__(self, desk: Desk, name: str, batch: int) -> None:
        self.desk, self.name, self.size = desk, name, batch

    def max_batch(self, message_type: type) -> int:
        return self.size

    def receive(self, message: object) -> object:
        assert isinstance(message, Parcel)
        return self.receive_batch([message])[0]

    def receive_batch(self, messages: list[Any]) -> list[object]:
        began = self.desk.env.clock.monotonic()
        for each in messages:
            self.suffer(each)
        for each in messages:
            if each.forward:
                self.desk.send(each.forward, Parcel(self.name, next(self.desk.numbers)), self.context)
        if self.desk.env.clock.monotonic() - began >= DEADLINE:
            return [None] * len(messages)  # it is hung, or waited too long to tell the others: nothing counts
        for each in messages:
            self.desk.env.note((self.name, each))
        return [each.number for each in messages]

    def suffer(self, parcel: Parcel) -> None:
        parcel.deliveries += 1
        woe = parcel.woes[parcel.deliveries - 1] if parcel.deliveries <= len(parcel.woes) else ""
        if woe in ONCE:
            raise ONCE[woe](woe)
        if woe == "hang":
            self.desk.hanging.add(self.name)
            self.desk.hang()
            self.desk.hanging.discard(self.name)


class Desk:
    """Sends parcels and knows what has to have become of them."""

    def __init__(self, env: ActorSystemEnv) -> None:
        self.env = env
        self.sent: list[tuple[str, Parcel]] = []
        self.refused: list[Parcel] = []
        self.numbers = iter(range(10**9))
        self.release = threading.Event()
        self.hanging: set[str] = set()

    def hang(self) -> None:
        if isinstance(self.env.engine, InlineEngine):
            self.env.clock.advance(DEADLINE + 1)
        else:
            self.release.wait(PATIENCE)

    def send(self, to: str, parcel: Parcel, context: Any = None) -> None:
        self.sent.append((to, parcel))
        if context is not None:
            context.tell(to, parcel)
        elif not self.env.ref(to).offer(parcel):
            self.refused.append(parcel)

    def check(self, queued: Sequence[object]) -> None:
        """Each parcel is in one place."""
        handled = [parcel for _, parcel in self.env.record]
        dead = [each.message for each in self.env.letters]
        places = Counter(id(each) for each in [*handled, *dead, *queued, *self.refused])
        for to, parcel in self.sent:
            assert places[id(parcel)] == 1, (
                f"{parcel} for {to}: handled {handled.count(parcel)}, dead {dead.count(parcel)}, "
                f"queued {list(queued).count(parcel)}"
            )
        order: dict[tuple[str, str], list[int]] = defaultdict(list)
        for name, parcel in self.env.record:
            order[name, parcel.sender].append(parcel.number)
        for numbers in order.values():
            assert numbers == sorted(numbers)


def tree(desk: Desk, data: Any) -> SupervisorSpec:
    """A small tree with any strategies, policies and limits."""
    intensities = st.sampled_from([Intensity(1_000, 10.0), Intensity(2, 10.0)])
    strategies = st.builds(
        lambda kind, intensity: kind(intensity), st.sampled_from([OneForOne, OneForAll, RestForOne]), intensities
    )
    backoffs = st.sampled_from(
        [Backoff(initial=0.0, jitter=0.0), Backoff(initial=1.0, jitter=0.0, immediate_retries=0)]
    )
    mailboxes = st.builds(
        MailboxSpec, st.sampled_from([2, 100]), st.sampled_from([Overflow.BLOCK, Overflow.REJECT, Overflow.DROP_OLDEST])
    )

    def child(name: str) -> ChildSpec:
        size = data.draw(st.sampled_from([1, 3]), f"batch of {name}")
        made = ChildSpec(name, lambda: Clerk(desk, name, size), handler_deadline=DEADLINE)
        return replace(
            made,
            mailbox=data.draw(mailboxes, f"mailbox of {name}"),
            backoff=data.draw(backoffs, f"backoff of {name}"),
            max_deliveries=data.draw(st.integers(1, 3), f"max_deliveries of {name}"),
        )

    low = SupervisorSpec("low", [child("b"), child("c")], data.draw(strategies, "low"), backoff=data.draw(backoffs))
    return SupervisorSpec("root", [child("a"), low, child("d")], data.draw(strategies, "root"))


class Office(RuleBasedStateMachine):
    """What may happen to actors, in any order."""

    engine = "inline"

    def __init__(self) -> None:
        super().__init__()
        self.env = ActorSystemEnv(ENGINES[self.engine]())
        self.desk = Desk(self.env)

    @initialize(data=st.data())
    def start(self, data: Any) -> None:
        self.env.runtime.start(tree(self.desk, data))

    @rule(
        to=st.sampled_from(NAMES), sender=st.sampled_from(["x", "y"]), woes=st.lists(TROUBLES, min_size=1, max_size=12)
    )
    def send(self, to: str, sender: str, woes: list[tuple[str, ...]]) -> None:
        for each in woes:
            self.desk.send(to, Parcel(sender, next(self.desk.numbers), each))

    @rule(to=st.sampled_from(NAMES), then=st.sampled_from(NAMES), count=st.integers(1, 8))
    def send_on(self, to: str, then: str, count: int) -> None:
        for _ in range(count):
            self.desk.send(to, Parcel("z", next(self.desk.numbers), forward=then))

    @rule(name=st.sampled_from(NAMES))
    def crash(self, name: str) -> None:
        with contextlib.suppress(ActorStopped):  # it has ended: the root gave up
            self.env.runtime.crash(name, Boom("injected"))

    @rule(name=st.sampled_from(NAMES))
    def restart(self, name: str) -> None:
        with contextlib.suppress(ActorStopped):  # its supervisor is just giving up
            self.env.runtime.restart(name)

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0]))
    def advance(self, seconds: float) -> None:
        if not isinstance(self.env.engine, InlineEngine):
            self.env.wait_for(self.calm, PATIENCE)
        self.env.advance(seconds)

    @rule()
    def run(self) -> None:
        if isinstance(self.env.engine, InlineEngine):
            self.env.engine.run()

    def calm(self) -> bool:
        """True when no handler is just about to return: then none can both be done and be found hung."""
        cells = [self.env.runtime.cell(name) for name in NAMES]
        return all(
            cell.incarnation is None
            or cell.name in self.desk.hanging
            or self.waits_for_room(cell)
            or (cell.incarnation.turn is None and not len(cell.mailbox.queue))
            for cell in cells
        )

    def waits_for_room(self, cell: Any) -> bool:
        """True when only time can go on with it: its handler waits for room in a mailbox that stays full as long as all are calm."""
        engine: Any = self.env.engine
        wait = engine._waits._waits.get(cell)
        return bool(wait is not None and wait.for_room and not wait.released and wait.target.mailbox.full())

    def idle(self) -> bool:
        cells = [self.env.runtime.cell(name) for name in NAMES]
        return all(not len(cell.mailbox.queue) and cell.state.value in ("running", "ended") for cell in cells)

    def teardown(self) -> None:
        self.desk.release.set()
        for _ in range(20):
            if self.env.runtime.root is not None and not self.idle():
                self.env.advance(1.0)
                if not self.env.inline:
                    self.env.wait_for(self.idle, 0.02)
        self.env.close()
        self.desk.check([])


class InlineOffice(Office):
    """On one thread, so that the books can be checked after each step."""

    @invariant()
    def nothing_is_lost(self) -> None:
        if self.env.runtime.root is None:
            return
        queued: list[object] = []
        for name in NAMES:
            cell = self.env.runtime.cell(name)
            queued += [cell.mailbox.queue[index].message for index in range(len(cell.mailbox.queue))]
        self.desk.check(queued)


class ThreadsOffice(Office):
    """On threads, where handlers really hang."""

    engine = "threads"


@pytest.mark.parametrize(("office", "count"), [(InlineOffice, 150), (ThreadsOffice, 25)])
def test_each_message_is_handled_or_queued_or_a_dead_letter(office: type[Office], count: int) -> None:
    run_state_machine_as_test(
        office,
        settings=settings(max_examples=examples(count), stateful_step_count=25),
    )
