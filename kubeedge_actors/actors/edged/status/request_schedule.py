"""One request that waits for its response: when it may be sent, sent again, or given up."""

from __future__ import annotations

import msgspec

from kubeedge_actors.wire.messages import LinkMessage

RESPONSE_TIMEOUT = 60.0
"""Seconds after which an answer is not awaited any more."""


RETRY_DELAYS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 7.0)


class RequestSchedule(msgspec.Struct):
    """One kind of request: the last one sent, and when the next may be sent."""

    due: float = 0.0
    msg_id: str = ""
    sent_at: float = 0.0
    failures: int = 0

    def is_due(self, now: float) -> bool:
        """Whether a request may be sent now."""
        if self.msg_id and now - self.sent_at >= RESPONSE_TIMEOUT:
            self.msg_id = ""
        return not self.msg_id and now >= self.due

    def on_sent(self, message: LinkMessage, now: float) -> LinkMessage:
        """A request was sent."""
        self.msg_id, self.sent_at = message.msg_id, now
        return message

    def on_success(self, due: float) -> None:
        """The response was good; the next request is due at `due`."""
        self.msg_id, self.failures, self.due = "", 0, due

    def on_intermediate_success(self, now: float) -> None:
        """Allow the follow-up request now, but keep the failure count so that a failing pair still backs off."""
        self.msg_id, self.due = "", now

    def on_failure(self, now: float) -> None:
        """The response was an error: retry with back-off."""
        self.msg_id = ""
        self.due = now + RETRY_DELAYS[min(self.failures, len(RETRY_DELAYS) - 1)]
        self.failures += 1
