"""What a pod refers to is asked for, and what comes back is kept. Pure."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.edged.node_talk import outcome, stored_object
from kubeedge_actors.actors.edged.record import PodRecord
from kubeedge_actors.actors.edged.references import Reference, references
from kubeedge_actors.wire.messages import QueryObject, RequestToken, Said
from kubeedge_actors.wire.names import SERVICEACCOUNTTOKEN


def questions(record: PodRecord) -> list[Said]:
    """Ask for everything that the pod refers to; what is known already may have changed."""
    record.asked.clear()
    asked = [_question(record, reference) for reference in references(record.view)]
    record.asked = {message.msg_id: reference for message, reference in asked}
    return [message for message, _ in asked]


def _question(record: PodRecord, reference: Reference) -> tuple[Said, Reference]:
    namespace = record.view.name.namespace
    if reference.type == SERVICEACCOUNTTOKEN:
        request = reference.token_request(record.view)
        return RequestToken(namespace=namespace, name=reference.name, object=request), reference
    return QueryObject(type=reference.type, namespace=namespace, name=reference.name), reference


def take(record: PodRecord, parent: str, content: Any) -> bool:
    """Keep an answer; whether it was the last one. An object that is not found is missing from now on."""
    reference = record.asked.pop(parent, None)
    if reference is None:
        return False
    _, error = outcome(content)
    found = content if isinstance(content, dict) and "status" in content else stored_object(content)
    if error is not None:
        if error.get("reason") == "NotFound":
            record.objects.pop(reference, None)
    elif found is not None:
        record.objects[reference] = found
    return not record.asked


def give_up(record: PodRecord, parent: str) -> bool:
    """The question could not be asked; whether it was the last one. What is known already is still good."""
    return record.asked.pop(parent, None) is not None and not record.asked
