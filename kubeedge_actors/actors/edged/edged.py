"""The actor Edged: routes messages of MetaManager, timers and results of worker threads to its managers."""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.actors.edged.messages import (
    HousekeepingDue,
    LinkState,
    ListPodEvents,
    ManifestsRead,
    NodeSyncDue,
    PodContainersListed,
    PodListDue,
    PodStorageMeasured,
    PodSyncDue,
    RestartPod,
    RuntimeEventReceived,
    RuntimeRelisted,
)
from kubeedge_actors.actors.edged.pod.admission import NodeOffer, node_offer
from kubeedge_actors.actors.edged.pod.pod_manager import PodManager, has_no_spec
from kubeedge_actors.actors.edged.pod.pod_spec import Json
from kubeedge_actors.actors.edged.pod.pod_worker import PodWorkers
from kubeedge_actors.actors.edged.pod.shared_state import NOT_YET, SharedSyncState
from kubeedge_actors.actors.edged.pod.storage_eviction import StorageEviction
from kubeedge_actors.actors.edged.runtime.action_executor import ActionExecutor
from kubeedge_actors.actors.edged.runtime.container_spec import NodeContext
from kubeedge_actors.actors.edged.runtime.runtime_manager import ActionResult
from kubeedge_actors.actors.edged.runtime.worker_pool import ThreadWorkerPool, WorkerPool
from kubeedge_actors.actors.edged.status.node_status import NodeDescription
from kubeedge_actors.actors.edged.status.node_status_manager import NodeStatusManager
from kubeedge_actors.drivers.containers.base import ContainerEnded, ContainerRuntime, RuntimeLost
from kubeedge_actors.drivers.machine.base import Machine, PodVolumes, Prober, StaticPodSource
from kubeedge_actors.kubernetes.objects import is_mirror
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors.timer import Timer
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeletePod,
    ErrorResponse,
    InsertPod,
    LinkDown,
    LinkUp,
    ListNodePods,
    ListPods,
    PatchNode,
    PatchPod,
    PodChanged,
    PodConfigChanged,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReleaseHeldPods,
    ReportEvent,
    RequestToken,
    Response,
    UpdateNode,
    WriteLease,
)

HOUSEKEEPING_SECONDS, STORAGE_TICKS, SLOW_HOUSEKEEPING_TICKS = 5.0, 2, 12
"""Period of the poll for things without events (manifest folder, dead runtime); every second poll also measures what pods keep
on this machine, every 12th resyncs volumes.
"""
RELIST_RETRY_SECONDS = 1.0
RUNTIME_DOWN = "container runtime is down"


class Edged(Module):
    """The kubelet of this node: pods, node status and lease.

    `address`: the node's, as others reach it. `version`: of the product. `link`: made once, outside of the factory.
    `events`: tell Events of pods to a genuine cloud too. `api`: where the node serves what it knows as a Kubernetes API, which its
    pods find in their environment.
    `workers`: makes a pool of so many threads for what has to wait; two are made.
    """

    name = constants.EDGED
    group = constants.EDGED
    emits = (
        *(RegisterNode, UpdateNode, PatchNode, QueryLease, WriteLease, InsertPod, PatchPod, DeletePod),
        *(QueryObject, RequestToken, ReportEvent, ListPods),
        *(HousekeepingDue, NodeSyncDue, PodSyncDue, PodListDue, RuntimeEventReceived),
        *(PodContainersListed, PodStorageMeasured, RuntimeRelisted, ManifestsRead, ActionResult),
    )

    def __init__(
        self,
        *,
        node_name: str,
        runtime: ContainerRuntime,
        folders: PodVolumes,
        host: Machine,
        prober: Prober,
        address: str,
        product: str,
        manifests: StaticPodSource | None = None,
        labels: dict[str, str] | None = None,
        link: LinkState | None = None,
        events: bool = False,
        api: tuple[str, int] | None = None,
        workers: Callable[[int], WorkerPool] = ThreadWorkerPool,
    ) -> None:
        self._node_name, self._address, self._product = node_name, address, product
        self._host, self._manifests, self._labels = host, manifests, labels or {}
        self._link = link or LinkState()
        machine = host.info()
        context = NodeContext(node_name, address, cpus=machine.cpus, memory=machine.memory, api=api)
        self._state = SharedSyncState(
            context, link_up=self._link.up, cloud_is_native=self._link.cloud_renews_lease, events_to_any_cloud=events
        )
        self._pods = PodManager(node_name)
        self._executor = ActionExecutor(runtime, folders, prober, workers)
        self._pod_workers = PodWorkers(
            self, self._pods, self._executor, self._state, self._on_runtime_state, self._offer, self._fetch_node
        )
        self._storage_eviction = StorageEviction(
            self._pods, lambda pod: self._executor.measure(pod.view, self.ref), self._pod_workers.on_evicted
        )
        self._node_status_manager = NodeStatusManager(node_name, self._node_description, self._link)
        self._relisted: RuntimeRelisted | None = None
        self._listed, self._statics_known, self._reading = False, manifests is None, False
        self._relisting, self._ticks = False, 0
        self._node_timer: Timer | None = None

    def on_start(self) -> None:
        """List the pods, relist the containers, read the static pods, sync the node."""
        self.every(HOUSEKEEPING_SECONDS, HousekeepingDue())
        self._relist()
        self._read_manifests()
        self._list_pods()
        self._sync_node()

    def on_stop(self) -> None:
        """Stop the worker pools: containers go on, running jobs are not waited for."""
        self._executor.close()

    # --- what ought to run, and what runs ---------------------------------------------------------------------------

    def _list_pods(self) -> None:
        self.ask(constants.METAMANAGER, ListPods()).then(
            self._on_pods_listed, lambda error: self.after(RELIST_RETRY_SECONDS, PodListDue())
        )

    @on
    def on_pod_list_due(self, message: PodListDue) -> None:
        """List the pods again."""
        self._list_pods()

    def _on_pods_listed(self, pods: list[Json]) -> None:
        self._listed = True
        bound = [pod for pod in pods if self._pods.is_bound_here(pod)]
        self._pod_workers.sync_all(self._pods.prune(bound))
        for pod in bound:
            self._admit(pod)
        self._adopt()

    def _relist(self) -> None:
        if not self._relisting:  # an engine that hangs is not asked again and again
            self._relisting = True
            self._executor.relist(self.ref)

    @on
    def on_runtime_relisted(self, message: RuntimeRelisted) -> None:
        """Adopt the containers, networks and folders found on the machine, once the pods are known."""
        self._relisting = False
        if message.error:
            self._on_runtime_state(message.error)
            return
        self._relisted, self._state.runtime_version, self._state.limits = message, message.engine, message.limits
        self._adopt()

    def _adopt(self) -> None:
        """What runs is judged once it is known what ought to run."""
        message = self._relisted
        if message is None or not (self._listed and self._statics_known):
            return
        self._relisted = None
        self._pods.on_runtime_relisted(message.containers, message.networks, message.folders, self.clock.now())
        self._state.ready = True
        self._on_runtime_state("")
        self._pod_workers.sync_in_order()

    @on
    def on_runtime_event_received(self, message: RuntimeEventReceived) -> None:
        """React to an event of the container engine."""
        event = message.event
        if isinstance(event, ContainerEnded):
            pod_state = self._pods.get(event.pod_uid)
            if pod_state is not None:
                pod_state.needs_listing = True
                self._pod_workers.sync(pod_state)
        elif isinstance(event, RuntimeLost):
            self._on_runtime_state(event.reason)
        else:
            self._relist()

    def _on_runtime_state(self, trouble: str) -> None:
        """The engine answers, or why not; the node's readiness follows."""
        if trouble and self._state.runtime_error in ("", NOT_YET):
            self.log.warning("no container can be run: %s", trouble)
        elif not trouble and self._state.runtime_error not in ("", NOT_YET):
            self.log.warning("containers can be run again")
        changed, self._state.runtime_error = bool(trouble) != bool(self._state.runtime_error), trouble
        if changed:
            self._node_status_manager.on_status_changed(self.clock.now())
            self._sync_node()

    # --- pods -------------------------------------------------------------------------------------------------------

    @on
    def on_pod_changed(self, message: PodChanged) -> None:
        """Admit a changed v1.Pod, or end a deleted one."""
        pod, deleted = message.object, message.operation == constants.DELETE
        if is_mirror(pod):
            self._on_mirror_pod(pod, deleted=deleted)
        elif deleted and has_no_spec(pod):
            self._list_pods()
        elif deleted:
            self._pod_workers.sync_all(self._pods.remove(pod))
        elif self._pods.is_bound_here(pod):
            self._admit(pod)

    @on
    def on_pod_config_changed(self, message: PodConfigChanged) -> None:
        """Sync the pods that refer to the changed ConfigMap or Secret."""
        self._pod_workers.on_config_changed(message.type, message.namespace, message.name)

    def _admit(self, pod: Json) -> None:
        if is_mirror(pod):
            self._on_mirror_pod(pod, deleted=False)
            return
        try:
            changed = self._pods.add_or_update(pod, self.clock.now())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.log.warning("a malformed pod is ignored: %s: %s", type(error).__name__, error)
            return
        self._pod_workers.sync_all(changed)

    def _on_mirror_pod(self, pod: Json, *, deleted: bool) -> None:
        if not self._statics_known:
            return  # the pods are asked for again when the static ones are known
        changed, deletion = self._pods.on_mirror_pod(pod, deleted=deleted)
        if deletion is not None:
            self.tell(constants.METAMANAGER, deletion)
        self._pod_workers.sync_all(changed)

    def _read_manifests(self) -> None:
        if self._manifests is not None and not self._reading and self._manifests.has_changed():
            self._reading = True
            self._executor.read_manifests(self._manifests, self.ref)

    @on
    def on_manifests_read(self, message: ManifestsRead) -> None:
        """Admit and end static pods by their manifests."""
        changed, wrong = self._pods.set_static_pods(message.manifests, self.clock.now())
        for sentence in wrong:
            self.log.warning("%s", sentence)
        first, self._statics_known, self._reading = not self._statics_known, True, False
        if first:
            self._list_pods()  # for their mirrors
        self._adopt()
        self._pod_workers.sync_all(changed)

    @on
    def on_pod_containers_listed(self, message: PodContainersListed) -> None:
        """Sync a pod with the listed containers."""
        if message.containers is not None and self._state.runtime_error:
            self._relist()  # it answers again: others may have asked in vain
        self._pod_workers.on_containers_listed(message)

    @on
    def on_pod_storage_measured(self, message: PodStorageMeasured) -> None:
        """Evict a pod that keeps more on this machine than it may."""
        self._storage_eviction.on_measured(message)

    @on
    def on_action_result(self, message: ActionResult) -> None:
        """Apply the result of an action."""
        self._pod_workers.on_action_result(message)

    @on
    def on_pod_sync_due(self, message: PodSyncDue) -> None:
        """Sync a pod whose wait is over."""
        pod_state = self._pods.get(message.uid)
        if pod_state is not None:
            self._pod_workers.sync(pod_state)

    # --- who stands at the node -------------------------------------------------------------------------------------

    @on
    def on_list_node_pods(self, message: ListNodePods) -> list[Json]:
        """The pods with their status of this moment."""
        return [pod_state.as_object() for pod_state in self._pods if not pod_state.is_orphaned]

    @on
    def on_list_pod_events(self, message: ListPodEvents) -> list[Json]:
        """The Events that are remembered."""
        return self._pod_workers.events()

    @on
    def on_restart_pod(self, message: RestartPod) -> list[str]:
        """Restart the containers of a pod."""
        pod_state = self._pods.get(message.uid)
        return [] if pod_state is None or pod_state.is_ending else self._pod_workers.restart(pod_state)

    @on
    def on_release_held_pods(self, message: ReleaseHeldPods) -> list[str]:
        """Let held pods begin."""
        return self._pod_workers.release(message.namespace, message.name)

    # --- the cluster ------------------------------------------------------------------------------------------------

    @on
    def on_response(self, message: Response) -> None:
        """Pass a response to the request that it belongs to."""
        if not self._node_status_manager.on_response(message.parent_msg_id, message.content, self.clock.now()):
            self._pod_workers.on_response(message.parent_msg_id, message.content)
            return
        self._link.registered = self._node_status_manager.registered
        uid = str(((self._node_status_manager.node or {}).get("metadata") or {}).get("uid") or "")
        if uid and uid != self._state.node_uid:
            self._state.node_uid = uid
            self._pod_workers.sync_all(list(self._pods))  # mirrors of static pods name their owner
        if self._node_status_manager.is_fresh:
            self._pod_workers.on_node_fetched()
        self._sync_node()

    @on
    def on_error_response(self, message: ErrorResponse) -> None:
        """Fail the request that could not be sent."""
        if self._node_status_manager.on_error(message.parent_msg_id, self.clock.now()):
            self._sync_node()
        else:
            self._pod_workers.on_error(message.parent_msg_id)

    @on
    def on_link_up(self, message: LinkUp) -> None:
        """Report everything that differs."""
        self._set_link(up=True, cloud_renews_lease=message.cloud_renews_lease)

    @on
    def on_link_down(self, message: LinkDown) -> None:
        """Go on alone."""
        self._set_link(up=False)

    def _set_link(self, *, up: bool, cloud_renews_lease: bool = False) -> None:
        self._link.up, self._link.cloud_renews_lease, self._state.link_up = up, cloud_renews_lease, up
        self._state.cloud_is_native = cloud_renews_lease if up else self._state.cloud_is_native
        self._node_status_manager.on_link_change(up, cloud_renews_lease)
        self._sync_node()
        self._pod_workers.on_link_change()

    @on
    def on_node_sync_due(self, message: NodeSyncDue) -> None:
        """Send what is due of registration, lease and status."""
        self._sync_node()

    def _sync_node(self) -> None:
        if self._node_timer is not None:
            self._node_timer.cancel()
            self._node_timer = None
        now = self.clock.now()
        for message in self._node_status_manager.next_messages(now):
            self.tell(constants.METAMANAGER, message)
        wake = self._node_status_manager.next_due()
        if wake != float("inf"):
            self._node_timer = self.after(max(wake - now, 0.01), NodeSyncDue())

    @on
    def on_housekeeping_due(self, message: HousekeepingDue) -> None:
        """Poll things without events: manifest folder, dead runtime; now and then volumes."""
        self._read_manifests()
        if self._state.runtime_error:
            self._relist()
        self._ticks += 1
        if self._ticks % STORAGE_TICKS == 0:
            self._storage_eviction.on_time()
        if self._ticks % SLOW_HOUSEKEEPING_TICKS == 0:
            self._pod_workers.resync()

    def _offer(self) -> NodeOffer:
        return node_offer(self._node_status_manager.node or {}, self._node_description())

    def _fetch_node(self) -> None:
        self._node_status_manager.fetch(self.clock.now())
        self._sync_node()

    # --- facts ------------------------------------------------------------------------------------------------------

    def _node_description(self) -> NodeDescription:
        trouble = f"{RUNTIME_DOWN}: {self._state.runtime_error}" if self._state.runtime_error else ""
        own, engine = (self._node_name, self._address, self._product), self._state.runtime_version or "unknown://0"
        return NodeDescription(*own, engine, self._host.info(), trouble, self._labels)
