"""python -m kubeedge_actors.edge: choose the drivers of one edge node, build its supervision tree, serve until told to stop."""

from __future__ import annotations

import dataclasses
import logging
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from kubeedge_actors.options.parsers import parser

if __name__ == "__main__":
    parser("edge").parse_args()  # ends here for --help, before any library is needed
from kubeedge_actors import observation
from kubeedge_actors.actors.edgehub.tally import Tally
from kubeedge_actors.actors.eventbus import FIXED
from kubeedge_actors.brokers import brokers
from kubeedge_actors.config import EdgeConfig
from kubeedge_actors.drivers.link.adoption import adopt
from kubeedge_actors.drivers.link.base import Credentials
from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.link.credentials import NodeCredentials
from kubeedge_actors.drivers.link.watched import WatchedLinks
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.edge_parts import container_runtime, device_mappers, meta_server, reading_token, streams, tree
from kubeedge_actors.errors import CertificateError, LinkError, UsageError
from kubeedge_actors.facts import Facts
from kubeedge_actors.letters import FILE as LETTERS
from kubeedge_actors.letters import LetterOffice
from kubeedge_actors.modules import own_specs
from kubeedge_actors.options.edge import EDGE
from kubeedge_actors.options.kinds import NAME
from kubeedge_actors.options.reading import edge_config
from kubeedge_actors.program import DataDir, Ending, end_with_the_tree, log_to_stderr, ready, run
from kubeedge_actors.supervisors import Intensity, OneForOne, Runtime, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.wire import mapping
from kubeedge_actors.wire.messages import (
    LinkDown,
    LinkUp,
    MqttReceived,
    MqttSubscribe,
    MqttUnsubscribe,
    QueryClusterCa,
    RequestApi,
    TwinUpdated,
    UnknownRecord,
)

log = logging.getLogger(__name__)

STOPPING = 8.0
JOIN_SECONDS = 5.0
EXTENSION_POINTS = frozenset(
    {TwinUpdated, MqttReceived, MqttSubscribe, MqttUnsubscribe, UnknownRecord, RequestApi, QueryClusterCa}
)
"""What modules of one's own may take or say; nothing is wrong when nobody does."""
FATE = OneForOne(Intensity(restarts=10, within=60.0))
"""One module that fails for a minute ends the process with a sentence; two poison messages do not."""
OWN_FATE = OneForOne(Intensity(restarts=1_000, within=10.0))
"""Modules of one's own share no fate with the node: however often they fail, back-off is all that slows them."""
ON_THE_LINK = mapping.UPWARD | mapping.DOWNWARD | {LinkUp, LinkDown}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    options = parser("edge").parse_args(arguments)

    def body(ending: Ending) -> None:
        given = EDGE.given(options)
        log_to_stderr(given.get("log_level", "warning"))  # the file may give reason to warn
        config = checked(edge_config(options.config, given))
        log_to_stderr(config.log_level)
        serve(config if options.cloud else able_to_join(config), ending)

    return run("edge", body)


def checked(config: EdgeConfig) -> EdgeConfig:
    """The config with what the machine adds; UsageError for what can not be meant."""
    name = config.name or socket.gethostname().lower()
    try:
        NAME.read(name)
    except ValueError as error:
        raise UsageError(f"--name: {error}") from error
    if config.hub and not config.cloud:
        raise UsageError("--hub needs --cloud, where the node's certificate comes from")
    return dataclasses.replace(config, name=name)


def able_to_join(config: EdgeConfig) -> EdgeConfig:
    """The config as it is, or without its cloud when there is nothing to join that with: every edgecore.yaml names a cloud."""
    if not config.cloud or not config.cert_file or config.token or config.token_file:
        return config
    if (config.data_dir / "certs" / "node.crt").exists() or Path(config.cert_file).exists():
        return config
    log.warning(
        "no token and no certificate for the cloud %s of the configuration file: the node works alone", config.cloud
    )
    return dataclasses.replace(config, cloud="", hub="")


def serve(config: EdgeConfig, ending: Ending) -> None:
    """Start everything, say `ready`, stop everything when `ending` is asked for."""
    own = own_specs(config.modules)
    token = _readable(reading_token(config), config.data_dir / "certs" / "node.crt")
    with ExitStack() as stack:
        data = DataDir(config.data_dir)
        stack.callback(data.close)
        store = SqliteStore(data.path / "edge.db")
        stack.callback(store.close)
        pods = data.path / "pods"
        containers = container_runtime(config, pods)
        stack.callback(containers.close)
        mqtt = brokers(config, (*FIXED, *store.topics.all()))
        for broker in mqtt:
            broker.start()
            stack.callback(broker.close)
        office = stack.enter_context(closing(LetterOffice(data.path / LETTERS)))
        optional = EXTENSION_POINTS if config.cloud else EXTENSION_POINTS | ON_THE_LINK
        runtime = Runtime(ThreadsEngine(), dead_letters=office, optional=optional)
        if config.cloud:
            adopt(data.path / "certs", (config.ca_file, config.cert_file, config.key_file))
        credentials = NodeCredentials(data.path / "certs", config.name, config.cloud, token)
        if config.cloud and not (data.path / "certs").exists():
            join(credentials)
        tally, links = Tally(), WatchedLinks(WebSocketLinks())
        wanted = partial(_wanted, runtime)
        modules = tree(config, store, containers, mqtt, credentials, ending, tally, links, facts=wanted)
        modules = [*device_mappers(config, store.meta, stack), *modules, *meta_server(config, store.meta, stack)]
        modules = [*streams(config, containers, credentials), *modules]
        stack.callback(runtime.stop, STOPPING)
        mine = SupervisorSpec(observation.MODULES, own, OWN_FATE, patience=observation.PATIENCE)
        runtime.start(SupervisorSpec("edge", [*modules, mine], FATE))
        end_with_the_tree(runtime, ending)
        facts = Facts("edge", config.name, data.path, links.facts if config.cloud else None, tally.facts)
        metrics = (config.metrics_host, config.metrics_port)
        observation.observe(stack, runtime, facts, office, allow_faults=config.allow_faults, metrics=metrics)
        ready(
            f"edge {config.name}: MQTT on {' and '.join(each.address for each in mqtt)}, pods by {containers.version()}, cloud {config.cloud or 'none'}"
        )
        ending.wait()


def _readable(token: Callable[[], str], certificate: Path) -> Callable[[], str]:
    """The same, known to be readable: UsageError when it is not and the node, which has no certificate, needs it."""
    try:
        token()
    except CertificateError as error:
        if not certificate.exists():
            raise UsageError(str(error)) from error
        log.warning("%s; the certificates of this node are used as long as they are good", error)
    return token


def join(credentials: Credentials) -> None:
    """Fetch the first certificates before serving, so that a wrong token ends the command at once; CertificateError then.

    A cloud that can not be reached is no reason to wait: EdgeHub goes on trying.
    """
    refusals: list[CertificateError] = []

    def attempt() -> None:
        try:
            credentials.obtain()
        except CertificateError as refusal:
            refusals.append(refusal)
        except LinkError as error:
            log.warning("the cloud can not be reached, the node starts without it: %s", error)

    thread = threading.Thread(target=attempt, name="join", daemon=True)
    thread.start()
    thread.join(JOIN_SECONDS)
    if refusals:
        raise refusals[0]


def _wanted(runtime: Runtime) -> bool:
    """Whether a module wants to hear of every twin update: there may be one tomorrow that there is not today."""
    return bool(runtime.registry.accepting(TwinUpdated))


if __name__ == "__main__":
    sys.exit(main())
