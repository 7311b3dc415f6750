"""What a cluster must have before the cloud serves its edge nodes: found, or made where that is allowed.

Nothing that is there is ever changed: the definitions of a genuine KubeEdge stay as they are. What those of an older one lack is said, and goes
without.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator

from kubeedge_actors import deploy
from kubeedge_actors.drivers.cluster.base import Json
from kubeedge_actors.drivers.cluster.kubernetes import SETTLING_SECONDS, KubernetesCluster
from kubeedge_actors.errors import AlreadyExists, ClusterError, DriverError, NotFound, Unreachable, UsageError
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import (
    CLUSTEROBJECTSYNC_KIND,
    CONFIGUPDATEJOB_KIND,
    DEVICESTATUS_KIND,
    EDGEAPPLICATION_KIND,
    IMAGEPREPULLJOB_KIND,
    NAMESPACE_KIND,
    NODEGROUP_KIND,
    NODEUPGRADEJOB_KIND,
    OBJECT_TYPES,
    OBJECTSYNC_KIND,
    RULE_KIND,
    RULEENDPOINT_KIND,
    ResourceKind,
)

log = logging.getLogger(__name__)

CRD_KIND = ResourceKind(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
NEEDED = (
    *(row.kind for row in OBJECT_TYPES if row.kind.group.endswith(".kubeedge.io")),
    *(DEVICESTATUS_KIND, OBJECTSYNC_KIND, CLUSTEROBJECTSYNC_KIND),
)
"""Without these the cloud can not work; the other definitions are made beside them."""
OPTIONAL = {
    "Rules": (RULE_KIND, RULEENDPOINT_KIND),
    "jobs of node tasks": (IMAGEPREPULLJOB_KIND, NODEUPGRADEJOB_KIND, CONFIGUPDATEJOB_KIND),
    "NodeGroups": (NODEGROUP_KIND,),
    "EdgeApplications": (EDGEAPPLICATION_KIND,),
}
"""What does not act without which kinds; all else does."""
SERVED_WITHIN, LOOK_EVERY = 30.0, 0.2
ANSWER_WITHIN = 30.0
"""Seconds that the API is given to come up; then whatever started us should start us again."""
UNAUTHORIZED, FORBIDDEN = 401, 403


def ensure_prerequisites(cluster: KubernetesCluster, asked_to_end: Callable[[], bool] = lambda: False) -> None:
    """See that namespace and definitions are there; wait for an API that comes up, unless asked to end. What can go without is said.

    Errors: UsageError names the command that an administrator has to run; Unreachable when the API does not answer.
    """
    _patiently(lambda: _namespace(cluster), asked_to_end)
    if missing := _missing(cluster):
        _make_definitions(cluster, missing)
    if left := _missing(cluster):
        cluster.unserved = frozenset(left)
        without = ", ".join(words for words, kinds in OPTIONAL.items() if set(kinds) & set(left))
        log.warning(
            "the cluster does not serve %s: %s do not act until an administrator runs: kubectl apply -f %s",
            *(", ".join(f"{kind.qualified}/{kind.version}" for kind in left), without, deploy.CRDS),
        )


def _make_definitions(cluster: KubernetesCluster, missing: Iterable[ResourceKind]) -> None:
    """Make those that are not there, and wait until they are served. UsageError, DriverError: one that is needed can not be had."""
    made: set[str] = set()
    try:
        for name in _make(cluster, CRD_KIND, deploy.documents(deploy.CRDS)):
            made.add(name)
    except UsageError:
        if set(missing) & set(NEEDED):
            raise
    if made:
        log.warning("the cluster lacked %s: made from %s", ", ".join(sorted(made)), deploy.CRDS)
    deadline = time.monotonic() + SERVED_WITHIN
    while awaited := [kind for kind in _missing(cluster) if kind in NEEDED or kind.qualified in made]:
        if time.monotonic() > deadline:
            raise DriverError(f"the cluster has {awaited[0].qualified} and does not serve its {awaited[0].version}")
        time.sleep(LOOK_EVERY)


def _patiently(step: Callable[[], None], asked_to_end: Callable[[], bool]) -> None:
    """Do the step when the API answers. What one that was away a moment ago refuses is tried again as well: it does not know its tokens and
    roles at once.
    """
    deadline, level, was_away = time.monotonic() + ANSWER_WITHIN, logging.WARNING, False
    while True:
        try:
            return step()
        except Unreachable as error:
            was_away, failure = True, str(error)
            if time.monotonic() > deadline or asked_to_end():
                raise
        except UsageError as refusal:
            failure = str(refusal)
            if not was_away or time.monotonic() > deadline + SETTLING_SECONDS or asked_to_end():
                raise
        log.log(level, "%s; retrying", failure)
        level = logging.DEBUG
        time.sleep(LOOK_EVERY)


def _namespace(cluster: KubernetesCluster) -> None:
    try:
        cluster.get(NAMESPACE_KIND, "", well_known.SYSTEM_NAMESPACE)
    except NotFound:
        list(_make(cluster, NAMESPACE_KIND, deploy.documents(deploy.NAMESPACE)))
    except ClusterError as error:
        raise _refusal(error, f"reading the namespace {well_known.SYSTEM_NAMESPACE}") from error


def _missing(cluster: KubernetesCluster) -> list[ResourceKind]:
    wanted = (*NEEDED, *itertools.chain.from_iterable(OPTIONAL.values()))
    versions = sorted({(kind.group, kind.version) for kind in wanted})
    served = {(kind.group, kind.version, kind.plural) for version in versions for kind in cluster.kinds(*version)}
    return [kind for kind in wanted if (kind.group, kind.version, kind.plural) not in served]


def _make(cluster: KubernetesCluster, kind: ResourceKind, objects: Iterable[Json]) -> Iterator[str]:
    """Make the objects that are not there; their names, each when it is made. UsageError: that is not allowed."""
    for object in objects:
        name = object["metadata"]["name"]
        try:
            cluster.create(kind, "", object)
            yield name
        except AlreadyExists:
            log.debug("%s %s is there", kind.kind, name)
        except ClusterError as error:
            raise _refusal(error, f"making {kind.kind} {name}") from error


def _refusal(error: ClusterError, subject: str) -> Exception:
    if error.code == UNAUTHORIZED:
        return UsageError(
            f"{subject}: the API server does not accept these credentials: look at the token or the certificate in the kubeconfig, "
            "which may have expired or be another cluster's"
        )
    if error.code != FORBIDDEN:
        return error
    sources = " ".join(f"-f {source}" for source in (deploy.NAMESPACE, deploy.CRDS, deploy.RBAC))
    return UsageError(
        f"{subject}: the API server does not allow it; an administrator has to run: kubectl apply {sources}"
    )
