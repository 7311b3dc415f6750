"""`self.store` and `self.delivery`: what a turn stores counts when the turn does, on each engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors.errors import StoreError
from kubeedge_actors.supervisors import ActorSystem, ChildSpec, Crashed, InlineEngine, MailboxSpec, SupervisorSpec
from tests.support.env.supervisors import ENGINES, ActorSystemEnv, Boom, Recorder, spec
from tests.support.waiting import PATIENCE

DURABLE, VOLATILE = MailboxSpec(durable=True), MailboxSpec()
mailboxes = pytest.mark.parametrize("mailbox", [DURABLE, VOLATILE], ids=["durable", "in-memory"])


class Total(msgspec.Struct):
    """What the actors under test store."""

    count: int
    seen: list[str]


class Counter(Recorder):
    """Adds numbers in its store; told "twice" it raises in the first delivery, after it has stored something."""

    def on_start(self) -> None:
        """Store that it was started."""
        self.context.store.put("starts", self.context.store.get("starts", 0) + 1)

    def receive(self, message: object) -> object:
        """Add a number; answer what is stored."""
        store = self.context.store
        if isinstance(message, int):
            store.put("count", store.get("count", 0) + message)
        if message == "twice" and self.context.delivery == 1:
            store.put("count", -1)
            store.put("half/a", "half")
            raise Boom("after it has stored something")
        self.env.note((message, self.context.delivery))
        return store.get("count", 0), sorted(key for key, _ in store.items("half/"))


@pytest.fixture(params=list(ENGINES))
def life(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., ActorSystemEnv]]:
    """Lives of one system, each of which has ended before the next begins."""
    if request.param == "hosts":
        request.getfixturevalue("_workshop")
    lives: list[ActorSystemEnv] = []

    def begin(factory: Callable[[ActorSystemEnv], Any], mailbox: MailboxSpec) -> ActorSystemEnv:
        if lives:
            lives[-1].close()
        env = ActorSystemEnv(ENGINES[request.param](), tmp_path / "mailboxes.db")
        lives.append(env)
        env.start(spec("counter", lambda: factory(env), mailbox=mailbox, accepts=(int, str)))
        return env

    yield begin
    for env in lives:
        env.close()


def asked(env: ActorSystemEnv, message: object) -> Any:
    future = env.ref("counter").ask(message, PATIENCE)
    env.until(lambda: future.done)
    return future.get()


@mailboxes
def test_g15_what_a_turn_stores_is_there_in_the_next_life(
    life: Callable[..., ActorSystemEnv], mailbox: MailboxSpec
) -> None:
    first = life(Counter, mailbox)
    first.tell("counter", 1, 2, 3)
    assert asked(first, 4) == (10, [])
    second = life(Counter, mailbox)
    assert asked(second, 0) == (10, [])


@mailboxes
def test_g15_a_turn_that_raises_stores_nothing_and_the_next_delivery_knows_that_it_is_one(
    life: Callable[..., ActorSystemEnv], mailbox: MailboxSpec
) -> None:
    env = life(Counter, mailbox)
    env.tell("counter", 5, "twice", 1)
    assert asked(env, 0) == (6, [])
    assert env.record == [(5, 1), ("twice", 2), (1, 1), (0, 1)]
    assert len(env.of(Crashed)) == 1


@mailboxes
def test_g15_what_a_turn_stores_is_in_the_file_before_it_is_answered_or_the_turn_comes_again(
    life: Callable[..., ActorSystemEnv], mailbox: MailboxSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = life(Counter, mailbox)
    assert asked(env, 1) == (1, [])
    journal = env.runtime.journal
    assert journal is not None
    write, left = journal._file.write, [StoreError("the disk is full")] * 2

    def refuse(*args: Any, **more: Any) -> None:
        if left:
            raise left.pop()
        write(*args, **more)

    monkeypatch.setattr(journal._file, "write", refuse)
    assert asked(env, 5) == (6, [])
    assert asked(env, 0) == (6, [])
    assert left == []
    assert asked(life(Counter, mailbox), 0) == (6, [])


class Keys(Recorder):
    """Does with its store what the test says."""

    def receive(self, message: object) -> object:
        """The store's answer, as text."""
        store = self.context.store
        if message == "fill":
            store.put("total", Total(2, ["a"]))
            store.put("a/2", b"\x00")
            store.put("a/1", 1.5)
            store.put("b", None)
            return None
        if message == "drop":
            store.delete("a/2")
            store.delete("never there")
            return list(store.items("a/"))
        if message == "types":
            return (
                store.get("total", Total),
                store.get("nothing", Total),
                store.get("b"),
                store.get("c", [1]),
            )
        if message == "wrong":
            return store.get("total", int)
        return list(store.items("a/")), [key for key, _ in store.items()]


def test_values_have_types_and_keys_an_order(life: Callable[..., ActorSystemEnv]) -> None:
    env = life(Keys, VOLATILE)
    assert asked(env, "fill") is None
    assert asked(env, "look") == ([("a/1", 1.5), ("a/2", b"\x00")], ["a/1", "a/2", "b", "total"])
    total, nothing, *defaults = asked(env, "types")
    assert (total.count, total.seen, nothing) == (2, ["a"], None)
    assert defaults == [None, [1]]
    assert asked(env, "drop") == [("a/1", 1.5)]
    assert asked(life(Keys, VOLATILE), "look")[1] == ["a/1", "b", "total"]


def test_a_value_of_another_type_is_an_error_that_names_the_key(inline: ActorSystemEnv) -> None:
    inline.start(spec("keys", lambda: Keys(inline), max_deliveries=1))
    inline.tell("keys", "fill", "wrong")
    inline.until(lambda: inline.of(Crashed))
    assert (
        "the stored value 'total' is not what is asked for: Expected `int`, got `object`" in inline.of(Crashed)[0].error
    )


class Saves(Recorder):
    """Stores when it is stopped what it was told."""

    said: object = None

    def receive(self, message: object) -> object:
        """Remember it; answer what is stored."""
        said, self.said = self.said, message
        return said or self.context.store.get("said")

    def on_stop(self) -> None:
        """Store it."""
        self.context.store.put("said", self.said)


def test_g15_what_is_stored_in_on_stop_is_there_in_the_next_life(life: Callable[..., ActorSystemEnv]) -> None:
    assert asked(life(Saves, VOLATILE), "before") is None
    assert asked(life(Saves, VOLATILE), "after") == "before"


def test_a_system_without_a_journal_has_no_stores() -> None:
    errors: list[Exception] = []

    class Asks(Recorder):
        def receive(self, message: object) -> object:
            with pytest.raises(StoreError) as caught:
                self.context.store.get("x")
            errors.append(caught.value)
            return None

    engine = InlineEngine()
    system = ActorSystem(engine)
    system.start(SupervisorSpec("root", [ChildSpec("asks", lambda: Asks(None))]))  # type: ignore[arg-type]
    system.ref("asks").tell("x")
    engine.run()
    system.stop()
    assert [str(error) for error in errors] == ["asks has nothing to store in: its actor system was given no journal"]


# --- exactly once, whatever moment the process ends at ----------------------------------------------------------------


LIVES = """
import os, random, sys
from pathlib import Path
import msgspec
from kubeedge_actors import ActorSystem, InlineEngine, MailboxSpec, Module, SupervisorSpec, ThreadsEngine, on
from kubeedge_actors.drivers.store import mailboxes
from kubeedge_actors.supervisors.durable import journal, transaction

FILES = {module.__file__ for module in (journal, transaction, mailboxes)} | {__file__}
TRACED = {"count", "_commit", "commit", "settle", "flush", "_write", "write", "begin", "put", "_flush_now", "_remember", "hold"}
lines_left = 0
finished = os.pipe()

class Counter(Module):
    name, mailbox = "counter", MailboxSpec(durable=True)
    @on
    def count(self, number: int) -> None:
        self.store.put("count", self.store.get("count", 0) + 1)
        self.store.put(f"times/{number}", self.store.get(f"times/{number}", 0) + 1)
        if self.store.get("count", 0) == total:
            os.write(finished[1], b"x")

def trace(frame, event, argument):
    return each_line if frame.f_code.co_filename in FILES and frame.f_code.co_name in TRACED else None

def each_line(frame, event, argument):
    global lines_left
    lines_left -= event == "line"
    if lines_left == 0:
        os._exit(9)
    return each_line

def fill(path, count):
    file = mailboxes.MailboxFile(path)
    file.open()
    file.write([(n, "counter", "", "builtins:int", msgspec.msgpack.encode(n)) for n in range(1, count + 1)])
    file.close()

def live(path, engine, line):
    # a life that ends at this line (0: at none)
    global lines_left
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        lines_left = line or -1
        system = ActorSystem(engine(), journal=mailboxes.MailboxFile(path))
        if line:
            import threading
            threading.settrace(trace)
            sys.settrace(trace)
        system.start(SupervisorSpec("root", [Counter.spec(max_deliveries=1_000)]))
        if engine is InlineEngine:
            system.engine.run()
            system.engine.advance(1.0)
        else:
            os.read(finished[0], 1)
        system.stop()
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

def check(path, count):
    file = mailboxes.MailboxFile(path)
    file.open()
    times = [msgspec.msgpack.decode(value) for value in file.stored_items("counter", "times/").values()]
    assert msgspec.msgpack.decode(file.stored("counter", "count")) == count, file.stored("counter", "count")
    assert times == [1] * count and not file.mailbox("counter"), times
    file.close()

folder = Path(sys.argv[1])
if sys.argv[2] == "lines":
    total, line = 2, 0
    while True:
        line += 1
        path = folder / f"{line}.db"
        fill(path, total)
        status = live(path, InlineEngine, line)
        assert status in (0, 9), status
        if status == 9:
            assert live(path, InlineEngine, 0) == 0
        check(path, total)
        if status == 0:
            break
    print(line)
else:
    total, kills, chance = 1_000, 0, random.Random(int(sys.argv[2]))
    path = folder / "random.db"
    fill(path, total)
    while kills < 30 and live(path, ThreadsEngine, chance.randint(1, 1_200)) == 9:
        kills += 1
    assert live(path, InlineEngine, 0) == 0
    check(path, total)
    print(kills)
"""


def lives(folder: Path, how: str) -> int:
    """Run the script; what it counted."""
    script = folder / "lives.py"
    script.write_text(LIVES, encoding="utf-8")
    done = subprocess.run([sys.executable, script, folder, how], capture_output=True, text=True, timeout=10 * PATIENCE)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_g15_a_process_killed_at_any_line_of_handler_and_commit_has_counted_each_message_once(tmp_path: Path) -> None:
    assert lives(tmp_path, "lines") > 30


@pytest.mark.parametrize("seed", [1, 2])
def test_g15_a_process_killed_30_times_has_counted_each_of_1000_messages_once(tmp_path: Path, seed: int) -> None:
    assert lives(tmp_path, str(seed)) == 30
