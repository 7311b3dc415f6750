"""All typed messages, those of the link and those inside a process; import them from here.

A message that asks for something is a verb, a fact is in the past tense. `LinkMessage` messages cross the link (link_messages.py, node_task_messages.py); the
others stay inside one process (local_messages.py). Objects of Kubernetes are plain JSON values (`dict`), shared and never
changed by whoever receives them.
"""

from __future__ import annotations

from kubeedge_actors.wire.link_messages import *  # noqa: F403
from kubeedge_actors.wire.local_messages import *  # noqa: F403
from kubeedge_actors.wire.local_messages import Message
from kubeedge_actors.wire.message_ids import new_id
from kubeedge_actors.wire.node_task_messages import *  # noqa: F403

_MESSAGES = [name for name, value in globals().items() if isinstance(value, type) and issubclass(value, Message)]
__all__ = [*_MESSAGES, "Json", "PropertyTwin", "PropertyValue", "new_id"]  # noqa: F405
