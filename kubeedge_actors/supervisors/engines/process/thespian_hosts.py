"""Thespian, which starts processes here and on the hosts of its convention. It carries no message of an actor."""

from __future__ import annotations

import hmac
import os
import pickle
from typing import Any

from thespian.actors import (  # type: ignore[import-untyped]
    Actor,
    ActorSystem,
    ActorSystemException,
    InvalidActorAddress,
    NoCompatibleSystemForActor,
)
from thespian.system.transport import IPBase, TCPTransport  # type: ignore[import-untyped]

from kubeedge_actors.supervisors.engines.process.fork import fork_actor
from kubeedge_actors.supervisors.engines.process.frame_seal import session_key

HOST = "kubeedge_actors host"
"""The capability by which a host of the convention is known; empty for this actor system's own part."""
SEAL = 32


class HostAgent(Actor):  # type: ignore[misc]  # an untyped library
    """One on each host: starts processes there. They are none of Thespian's, which stalls when many of its own die."""

    @staticmethod
    def actorSystemCapabilityCheck(capabilities: dict[str, Any], requirements: dict[str, Any] | None) -> bool:
        """Only on the host that it is meant for."""
        return bool(capabilities.get(HOST) == (requirements or {}).get(HOST))

    def receiveMessage(self, message: object, sender: object) -> None:
        """Told where an actor's process has to call home: start it."""
        if isinstance(message, dict):
            key = TCPTransport.serializer.session_key(bytes.fromhex(message["session_id"]))
            fork_actor({**message, "key": key.hex()})


class SignedPickle:
    """A serializer for Thespian that takes only what somebody with the same key has packed, because it unpickles it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def session_key(self, session_id: bytes) -> bytes:
        """The key of a worker process that is started here for another host."""
        return session_key(self._key, session_id)

    def dumps(self, value: object) -> bytes:
        """The value as signed bytes."""
        body = pickle.dumps(value, 4)
        return hmac.digest(self._key, body, "sha256") + body

    def loads(self, data: bytes) -> Any:
        """The value. Error: PermissionError when the signature is not ours."""
        if not hmac.compare_digest(data[:SEAL], hmac.digest(self._key, data[SEAL:], "sha256")):
            raise PermissionError("a message without our seal")
        return pickle.loads(data[SEAL:])


class ThespianSystem:
    """A Thespian system that listens on `address` and `port` only. RuntimeError when it can not.

    `convention`: `ADDRESS:PORT` of the system that leads, if it is another one. `name`: by which this host is known.
    """

    def __init__(self, address: str, port: int, key: bytes, convention: str = "", name: str = "") -> None:
        for owner, word in ((IPBase.TCPv4ActorAddress, "bindArgs"), (TCPTransport, "serializer")):
            if not hasattr(owner, word):  # better none than one that listens everywhere and trusts everybody
                raise RuntimeError(f"this version of Thespian has no {word}")
        os.environ["THESPIAN_BASE_IPADDR"] = address
        # by itself it listens on every address of the machine, whatever address it gives to others
        IPBase.TCPv4ActorAddress.bindArgs = property(lambda it: ((address, it.bindname[1]),))
        TCPTransport.serializer = SignedPickle(key)
        capabilities = {"Admin Port": port, HOST: name, "Convention Address.IPv4": convention or f"{address}:{port}"}
        self._agents: dict[str, Any] = {}
        quiet = {"version": 1, "root": {"handlers": [], "level": "CRITICAL"}}
        try:
            self._system = ActorSystem("multiprocTCPBase", capabilities, logDefs=quiet)
        except (ActorSystemException, InvalidActorAddress) as error:
            raise RuntimeError(f"Thespian does not start on {address}:{port}: {error}") from error

    def start_process(self, host: str, call: dict[str, Any]) -> None:
        """Start a worker process on that host, which connects back. Error: LookupError for an unknown host."""
        agent = self._agents.get(host)
        if agent is None:
            try:
                agent = self._system.createActor(HostAgent, targetActorRequirements={HOST: host})
            except NoCompatibleSystemForActor as error:
                raise LookupError(f"no host of the convention is called {host!r}") from error
            self._agents[host] = agent
        self._system.tell(agent, call)

    def forget(self, host: str) -> None:
        """Look for that host anew the next time: its agent did not do what it was told."""
        self._agents.pop(host, None)

    def shut_down(self) -> None:
        """End all its processes."""
        self._system.shutdown()
