"""Messages of one's own between modules of both sides, over a link that breaks, with all built-in modules on board."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire.messages import BusPublish, Message, MessageLost, MessageNotRead
from tests.support.env.both_sides import NODE, BothSidesEnv
from tests.support.waiting import eventually


class Question(Message, frozen=True, kw_only=True):
    """The cloud's module to the node's."""

    wire = "test.Question"
    number: int


class Answer(Message, frozen=True, kw_only=True):
    """The node's module to the cloud's."""

    wire = "test.Answer"
    node: str = ""
    number: int


class Asking(Module):
    """In the cloud: sends the numbers that it is told, keeps the answers and what became of the questions."""

    name = "asking"

    def __init__(self) -> None:
        self.answers: list[tuple[str, int]] = []
        self.failures: list[str] = []

    @on
    def on_number(self, number: int) -> None:
        """Send it to the node."""
        self.down(NODE, Question(number=number))

    @on
    def on_name(self, node: str) -> None:
        """Send something to that node."""
        self.down(node, Question(number=0)).then(lambda _: None, lambda error: self.failures.append(repr(error)))

    @on
    def on_answer(self, message: Answer) -> None:
        """Keep it."""
        self.answers.append((message.node, message.number))


class Answering(Module):
    """On the node: answers with the double."""

    name = "answering"

    @on
    def on_question(self, message: Question) -> None:
        """Answer."""
        self.up(Answer(number=2 * message.number))


@pytest.fixture
def env(tmp_path: Path) -> Iterator[BothSidesEnv]:
    made = BothSidesEnv(tmp_path)
    yield made
    made.stop()


def test_questions_and_answers_cross_a_link_that_breaks(env: BothSidesEnv) -> None:
    asking = Asking()
    ref = env.cloud.add(Asking.spec(lambda: asking))
    env.edge.add(Answering.spec())
    for number in range(30):
        ref.tell(number)
        if number % 10 == 5:
            env.server.cut("the cable was pulled")
    expected = {(NODE, 2 * number) for number in range(30)}
    eventually(lambda: set(asking.answers) == expected, "each question is answered, with the node's name")
    eventually(lambda: env.outbox.of_node(NODE) == [], "each one is confirmed")
    lost = (Question, Answer, MessageLost, MessageNotRead)
    assert not [letter for letter in env.cloud.dead_letters if isinstance(letter.message, lost)]


def test_an_unknown_node_is_an_error_to_the_module_that_sends(env: BothSidesEnv) -> None:
    asking = Asking()
    env.cloud.add(Asking.spec(lambda: asking)).tell("edge-9")
    eventually(lambda: len(asking.failures) == 1, "it is told")
    assert AnswerLost.__name__ in asking.failures[0]
    assert "no node is called 'edge-9'" in asking.failures[0]


def test_what_the_cloud_publishes_by_mqtt_arrives_on_the_broker_of_the_node_and_is_confirmed(env: BothSidesEnv) -> None:
    env.cloud.publish(BusPublish(node=NODE, topic="light", payload="on"))
    eventually(
        lambda: ("light", b"on") in [(each.topic, each.payload) for each in env.broker.published], "it is on the broker"
    )
    eventually(lambda: env.outbox.of_node(NODE) == [], "it is confirmed")
