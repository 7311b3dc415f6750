"""Leads connections to the nodes' port, on this machine, to the replica that has it (KubeEdge: iptablesmanager).

Source: KubeEdge cloud/pkg/cloudstream/iptables: the same chain and rules, so that either takes over from the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kubeedge_actors.actors.cloudstream.tunnel_port import read_record
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.errors import ClusterError, DriverError, NotFound
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND
from kubeedge_actors.module import Module, on
from kubeedge_actors.outage_log import OutageLog
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import Message

SYNC_SECONDS = 10.0
CHAIN, COMMENT = "TUNNEL-PORT", "kubeedge tunnel port"
SOURCES = ("OUTPUT", "PREROUTING")
Rule = tuple[str, ...]
Run = Callable[[Sequence[str]], bool]
"""`iptables` with these arguments; False when it says no, DriverError when it can not be run."""


class IptablesSyncDue(Message, frozen=True, kw_only=True):
    """Time to look whether the rules are there."""


class IptablesManager(Module):
    """Keeps the rules of the table nat as the ConfigMap of all replicas wants them. `run` runs iptables."""

    name = f"{constants.CLOUDSTREAM}-iptables"
    group = "stream"
    emits = (IptablesSyncDue,)

    def __init__(self, cluster: Cluster, stream_port: int, run: Run) -> None:
        self._cluster, self._stream_port, self._run = cluster, stream_port, run
        self._rules: set[Rule] = set()
        self._flushed = False
        self._outage = OutageLog()

    def on_start(self) -> None:
        """Look at once."""
        self.on_iptables_sync_due(IptablesSyncDue())

    @on
    def on_iptables_sync_due(self, message: IptablesSyncDue) -> None:
        """Put back what is missing, take away what is no longer wanted."""
        try:
            self._sync()
            self._outage.log_recovery(self.log, "the rules of iptables are kept again", self.clock.monotonic())
        except NotFound:
            self.log.debug("no replica has a port yet")
        except (ClusterError, DriverError) as error:
            if self._outage.on_failure(str(error), self.clock.monotonic()):
                self.log.warning("the rules of iptables can not be kept: %s", error)
        self.after(SYNC_SECONDS, IptablesSyncDue())

    def _sync(self) -> None:
        config_map = self._cluster.get(CONFIGMAP_KIND, well_known.SYSTEM_NAMESPACE, constants.TUNNEL_PORT_CONFIGMAP)
        wanted = set(dnat_rules(read_record(config_map).ipTunnelPort, self._stream_port))
        if not self._run(("-n", "-L", CHAIN)):
            self._change("-N", CHAIN)
        elif not self._flushed:
            self._change("-F", CHAIN)
        self._flushed = True
        for source in SOURCES:
            self._ensure((source, "-m", "comment", "--comment", COMMENT, "-j", CHAIN))
        for rule in sorted(wanted):
            self._ensure(rule)
        for rule in sorted(self._rules - wanted):
            if self._run(("-C", *rule)):
                self._change("-D", *rule)
        self._rules = wanted

    def _ensure(self, rule: Rule) -> None:
        if not self._run(("-C", *rule)):
            self._change("-A", *rule)

    def _change(self, *arguments: str) -> None:
        if not self._run(arguments):
            raise DriverError(f"iptables -t nat {' '.join(arguments)} was refused")


def dnat_rules(ports: Mapping[str, int], stream_port: int) -> list[Rule]:
    """The rules of the chain, without `iptables -t nat -A`.

    >>> " ".join(dnat_rules({"10.0.0.5": 10351}, 10003)[0])
    'TUNNEL-PORT -p tcp -j DNAT --dport 10351 --to 10.0.0.5:10003'
    """
    return [
        (CHAIN, "-p", "tcp", "-j", "DNAT", "--dport", str(port), "--to", f"{address}:{stream_port}")
        for address, port in sorted(ports.items())
    ]


def printed_rule(address: str, port: int, stream_port: int) -> str:
    """The command for one replica, for a person on the API server's machine."""
    return f"iptables -t nat -A OUTPUT -p tcp --dport {port} -j DNAT --to {address}:{stream_port}"
