"""The actions of each type of job, in order (source: KubeEdge pkg/nodetask/actionflow). Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from kubeedge_actors.kubernetes.object_types import (
    CONFIGUPDATEJOB_KIND,
    IMAGEPREPULLJOB_KIND,
    NODEUPGRADEJOB_KIND,
    ResourceKind,
)
from kubeedge_actors.wire import constants


class JobType(NamedTuple):
    """A type of job. `actions` follow each other while they succeed; `rollback` follows when the last of them has failed."""

    name: str
    kind: ResourceKind
    actions: tuple[str, ...]
    rollback: str = ""

    @property
    def is_repeatable(self) -> bool:
        """Whether a node may be told twice what to do: it then does it once, or does no harm."""
        return self.name == constants.IMAGEPREPULLJOB

    def knows(self, action: str) -> bool:
        """Whether it has such an action."""
        return action in self.actions or (bool(action) and action == self.rollback)

    def is_final(self, action: str, *, succeeded: bool) -> bool:
        """Whether nothing follows an action that has ended so."""
        if action == self.actions[-1]:
            return succeeded or not self.rollback
        return action == self.rollback or not succeeded

    def next_action(self, action: str) -> str:
        """The action behind one that has succeeded; empty behind the last."""
        return dict(zip(self.actions, self.actions[1:], strict=False)).get(action, "")


_PULL: Final = JobType(constants.IMAGEPREPULLJOB, IMAGEPREPULLJOB_KIND, (constants.ACTION_CHECK, constants.ACTION_PULL))
_UPGRADE: Final = JobType(
    constants.NODEUPGRADEJOB,
    NODEUPGRADEJOB_KIND,
    (constants.ACTION_CHECK, constants.ACTION_CONFIRM, constants.ACTION_BACKUP, constants.ACTION_UPGRADE),
    constants.ACTION_ROLLBACK,
)
_CONFIG: Final = JobType(
    constants.CONFIGUPDATEJOB,
    CONFIGUPDATEJOB_KIND,
    (constants.ACTION_CHECK, constants.ACTION_BACKUP, constants.ACTION_UPDATE),
    constants.ACTION_ROLLBACK,
)
JOB_TYPES: Final = {type.name: type for type in (_PULL, _UPGRADE, _CONFIG)}
TYPE_OF_KIND: Final = {type.kind: type for type in JOB_TYPES.values()}
