"""What controllers have in common: an answer of the API ends a row of failures, and nothing else does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from kubeedge_actors.controller import API_BACKOFF, API_CONTROLLER_EMITS, ApiController
from kubeedge_actors.drivers.cluster.base import Cluster, WatchEvent, is_temporary
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.cluster.fake.state import status_of
from kubeedge_actors.errors import ClusterError, Unreachable
from kubeedge_actors.kubernetes.object_types import POD_KIND
from kubeedge_actors.testing import Harness, inline

AWAY = Unreachable("away")
FORBIDDEN = ClusterError(status_of(403, "Forbidden", "no"))


class Caller(ApiController):
    """Does what it is given, one thing a turn; what may succeed later comes first again."""

    name = group = "caller"
    emits = API_CONTROLLER_EMITS

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, [], lambda: 1.0)
        self.todo: deque[Callable[[], object]] = deque()
        self.answers = 0

    def on_api_reachable(self) -> None:
        """Counted."""
        self.answers += 1
        super().on_api_reachable()

    def has_queued_calls(self) -> bool:
        """Whether something is to be done."""
        return bool(self.todo)

    def make_next_call(self) -> None:
        """The first thing."""
        thing = self.todo.popleft()
        try:
            thing()
        except ClusterError as error:
            if is_temporary(error):
                self.todo.appendleft(thing)
            raise

    def handle_change(self, change: WatchEvent) -> None:
        """There are none."""


class CallerEnv:
    """A controller, and an API whose failure is `error`."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.cluster.create(POD_KIND, "default", {"metadata": {"name": "p"}, "spec": {}})
        self.error: ClusterError | None = None
        self.cluster.refuse = lambda request: self.error
        self.caller = Caller(self.cluster)
        self.harness: Harness = inline(Caller.spec(lambda: self.caller))
        self.harness.run()

    def do(self, *things: Callable[[], object]) -> None:
        self.caller.todo.extend(things)
        self.caller.schedule_call()
        self.harness.run()

    def get(self) -> None:
        self.caller.api.get(POD_KIND, "default", "p")

    def pauses(self, count: int) -> list[float]:
        """So many pauses, from one attempt to the next, in steps of the first one."""
        found = []
        for _ in range(count):
            asked, waited = self.cluster.count("get", "pods"), 0
            while self.cluster.count("get", "pods") == asked:
                self.harness.advance(API_BACKOFF)
                waited += 1
            found.append(waited * API_BACKOFF)
        return found


@pytest.fixture
def env() -> CallerEnv:
    return CallerEnv()


def test_pauses_grow_while_the_api_is_away(env: CallerEnv) -> None:
    env.error = AWAY
    env.do(env.get)
    assert env.pauses(6) == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert env.caller.answers == 0


def test_work_that_asks_the_api_nothing_does_not_shorten_the_pauses(env: CallerEnv) -> None:
    env.error = AWAY
    env.do(env.get)
    assert env.pauses(2) == [0.5, 1.0]
    env.caller.todo.appendleft(lambda: None)
    assert env.pauses(2) == [2.0, 4.0]
    assert env.caller.answers == 0


@pytest.mark.parametrize("answer", [None, FORBIDDEN])
def test_an_answer_ends_the_row_be_it_a_no(env: CallerEnv, answer: ClusterError | None) -> None:
    env.error = AWAY
    env.do(env.get)
    assert env.pauses(2) == [0.5, 1.0]
    env.error = answer
    assert env.pauses(1) == [2.0]
    assert env.caller.answers == 1
    env.error = AWAY
    env.do(env.get)
    assert env.pauses(2) == [0.5, 1.0]


@pytest.mark.parametrize("code", [429, 500, 503, 504])
def test_a_no_for_now_is_no_answer(env: CallerEnv, code: int) -> None:
    env.error = ClusterError(status_of(code, "Busy", "later"))
    env.do(env.get)
    assert (env.caller.answers, env.caller.is_backing_off) == (0, True)
