"""The actor ApplicationWorker: calls the API in the name of who asks, one call at a time."""

from __future__ import annotations

import msgspec

from kubeedge_actors.actors.dynamiccontroller.api_requests import (
    answered,
    api_request,
    item_kind,
    refused,
    status_of,
)
from kubeedge_actors.actors.dynamiccontroller.messages import AnsweredApplication, ApplicationCall, ApplicationsAnswered
from kubeedge_actors.actors.dynamiccontroller.node_view import shown
from kubeedge_actors.drivers.cluster.base import DelegatedApi, Delegator
from kubeedge_actors.errors import FrameError, Unreachable
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import application as wire
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.application import Application, parse_key

MAX_WATCHED = 5_000
"""Objects that a node may watch by one watch: each is sent to it."""


class ApplicationWorker(Module):
    """`api`: in whose name, each call says."""

    name = f"{constants.SOURCE_DYNAMICCONTROLLER}-worker"
    group = constants.GROUP_DYNAMICCONTROLLER
    emits = (ApplicationsAnswered,)

    def __init__(self, api: DelegatedApi) -> None:
        self._api = api

    @on
    def on_application_call(self, message: ApplicationCall) -> None:
        """Make the calls; the answers come back to who has sent this."""
        answers = tuple(self._answer(message.node, application) for application in message.applications)
        self.tell(constants.SOURCE_DYNAMICCONTROLLER, ApplicationsAnswered(message, answers))

    def _answer(self, node: str, application: Application) -> AnsweredApplication:
        try:
            return self._call(node, application)
        except FrameError as error:
            status = status_of(400, "BadRequest", str(error))
        except Unreachable as error:
            status = status_of(503, "ServiceUnavailable", str(error))
        except (
            Exception
        ) as error:  # neither a strange answer nor a defect of ours may keep the program at the node waiting
            self.log.exception("a call of node %s failed", node)
            status = status_of(500, "InternalError", f"the call failed: {type(error).__name__}")
        return AnsweredApplication(application, refused(application, status))

    def _call(self, node: str, application: Application) -> AnsweredApplication:
        request = api_request(application)
        status, body = self._api.request(Delegator(node, application.token), *request)
        answer = answered(application, status, body, shown)
        if application.verb != wire.WATCH or answer.status != wire.APPROVED:
            return AnsweredApplication(application, answer)
        listed = msgspec.json.decode(body)
        remaining = (listed.get("metadata") or {}).get("remainingItemCount") or 0
        if remaining >= MAX_WATCHED:
            sentence = f"there are {remaining + 1} objects, a node may watch {MAX_WATCHED}"
            return AnsweredApplication(
                application, refused(application, status_of(413, "RequestEntityTooLarge", sentence))
            )
        key = parse_key(application.key)
        kind = ResourceKind(key.group, key.version, key.plural, item_kind(listed))
        return AnsweredApplication(application, answer, kind)
