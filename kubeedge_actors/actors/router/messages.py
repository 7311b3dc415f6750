"""What Router says to itself, to its writer, and hears from the threads of its server and its deliveries."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.router.rule_status import RuleCounts
from kubeedge_actors.drivers.http.base import Headers
from kubeedge_actors.wire.messages import BusUploaded, Message


class RestCall(Message, frozen=True, kw_only=True):
    """A request that may come in, for `rule`; its path goes on with `rest`. The answer is a RestResponse."""

    rule: str
    node: str
    rest: tuple[str, ...]
    query: str
    method: str
    headers: Headers
    body: bytes


class CallTimeout(Message, frozen=True, kw_only=True):
    """Timer: the node has not answered the call `msg_id`."""

    msg_id: str


class DeliveryDue(Message, frozen=True, kw_only=True):
    """Timer: try the target of `rule` again with what came from `node`."""

    rule: str
    node: str


class BatchDelivered(Message, frozen=True, kw_only=True):
    """A thread has called a rule's target. `answers`: status and body of those that were answered, in order; `error`: why the next one was not."""

    rule: str
    node: str
    answers: list[Any]
    error: str = ""


class RuleDeliveryFailed(Message, frozen=True, kw_only=True):
    """What was given up becomes a dead letter; one that is replayed is delivered again."""

    rule: str
    reason: str
    upload: BusUploaded


class StatusWriteDue(Message, frozen=True, kw_only=True):
    """Timer: write what rules have counted."""


class WriteRuleStatus(Message, frozen=True, kw_only=True):
    """Command to the writer: add these counts to the status of `rule`. The answer is whether they need not come again."""

    rule: str
    counts: RuleCounts
