"""Calls of a rule's target, one message after the other, on a thread of their own."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from kubeedge_actors.actors.router.deliveries import Delivery
from kubeedge_actors.drivers.http.base import TargetClient
from kubeedge_actors.errors import HttpError
from kubeedge_actors.supervisors.clock import Clock

log = logging.getLogger(__name__)
TARGET_SECONDS, BATCH_SECONDS = 10.0, 2.0
"""For one call; after the second no other one is begun, so that nodes hear in time of those that are done."""
TEMPORARY_STATUSES = frozenset({408, 425, 429})
"""Answers after which, as after those of 500 and more, a target is called again."""
Answers = list[tuple[int, bytes]]


def call_target(client: TargetClient, clock: Clock, url: str, batch: Iterable[Delivery]) -> tuple[Answers, str]:
    """Status and body of those that were answered, and why the next one was not (empty: none failed)."""
    answers: Answers = []
    began = clock.monotonic()
    for delivery in batch:
        headers = {"NodeName": delivery.upload.node, "Idempotency-Key": delivery.upload.msg_id}
        try:
            answer = client.post(url, headers, delivery.body, TARGET_SECONDS)
        except HttpError as failure:
            return answers, str(failure)
        except Exception as failure:  # a defect of ours must not keep this queue's place taken
            log.exception("a call of %s failed", url)
            return answers, f"{url} can not be called: {failure}"
        if answer.status >= 500 or answer.status in TEMPORARY_STATUSES:
            return answers, f"{url} answered {answer.status}"
        answers.append((answer.status, answer.body))
        if clock.monotonic() - began > BATCH_SECONDS:
            break
    return answers, ""
