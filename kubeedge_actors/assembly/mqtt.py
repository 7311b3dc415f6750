"""The MQTT of an edge node as its options want it: a broker in this process, a client of another one, or both."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from kubeedge_actors.assembly.port_errors import ChosenPort, naming_port_options
from kubeedge_actors.config import EdgeConfig
from kubeedge_actors.drivers.broker.base import Broker, InboundMessage
from kubeedge_actors.errors import UsageError

FILE = "mqtt.db"
LOOPBACK = "127.0.0.1"
INTERNAL, BOTH, EXTERNAL = 0, 1, 2
"""As KubeEdge counts them (source: KubeEdge edgecore v1alpha2, eventBus.mqttMode)."""


def make_brokers(config: EdgeConfig, filters: Iterable[str] = ()) -> list[Broker]:
    """The brokers to serve, not started. Errors: UsageError, BrokerError.

    `filters`: of what must not be acknowledged before somebody listens; it is held up until then.
    """
    mode = config.mqtt_mode if config.mqtt_mode >= 0 else (EXTERNAL if config.mqtt else INTERNAL)
    if mode != INTERNAL and not config.mqtt:
        raise UsageError(f"--mqtt-mode {mode} needs --mqtt, the address of the external broker")
    brokers_to_serve: list[Broker] = []
    if mode != EXTERNAL:
        brokers_to_serve.append(_embedded(config))
    if mode != INTERNAL:
        brokers_to_serve.append(_external(config))
    for broker in brokers_to_serve:
        broker.set_handler(_not_yet, broker_id=1)
        for filter in filters:
            broker.subscribe(filter)
    return brokers_to_serve


def start_brokers(config: EdgeConfig, filters: Iterable[str], stack: ExitStack) -> list[Broker]:
    """The brokers, started until `stack` is closed. Errors: as `make_brokers`; BrokerError names the option of a port; StoreError."""
    host = config.mqtt_host
    plain = ChosenPort("--mqtt-port", config.mqtt_port, "--mqtt-host", LOOPBACK if config.mqtt_tls_cert else host)
    started = make_brokers(config, filters)
    for broker in started:
        with naming_port_options(plain, ChosenPort("--mqtt-tls-port", config.mqtt_tls_port, "--mqtt-host", host)):
            broker.start()
        stack.callback(broker.close)
    return started


def _not_yet(message: InboundMessage) -> bool:
    return False


def _embedded(config: EdgeConfig) -> Broker:
    from kubeedge_actors.drivers.broker.acl import AccessList
    from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker, TlsListener
    from kubeedge_actors.drivers.broker.outgoing import MAX_PACKET_ID, Limits
    from kubeedge_actors.drivers.broker.passwords import Passwords
    from kubeedge_actors.drivers.broker.tls import server_context

    secure = None
    if config.mqtt_tls_cert:
        context = server_context(config.mqtt_tls_cert, config.mqtt_tls_key or None, config.mqtt_tls_ca or None)
        secure = TlsListener(config.mqtt_tls_port, context, bool(config.mqtt_tls_ca))
    return EmbeddedBroker(
        config.mqtt_host,
        config.mqtt_port,
        Passwords(Path(config.mqtt_passwords)) if config.mqtt_passwords else None,
        Limits(
            min(config.mqtt_max_inflight_messages, MAX_PACKET_ID),
            config.mqtt_max_queued_messages,
            config.mqtt_max_queued_bytes,
            slow_subscriber_timeout=config.mqtt_slow_subscriber_timeout,
        ),
        access=AccessList(Path(config.mqtt_acl)) if config.mqtt_acl else None,
        secure=secure,
        path=config.data_dir / FILE,
    )


def _external(config: EdgeConfig) -> Broker:
    from kubeedge_actors.drivers.broker.external import ExternalBroker, Login

    tls = None
    if config.mqtt_ca or config.mqtt_cert:
        from kubeedge_actors.drivers.broker.tls import client_context

        tls = client_context(config.mqtt_ca or None, config.mqtt_cert or None, config.mqtt_key or None)
    # a name that lasts: the broker remembers what was published while this process was down
    login = Login(f"kubeedge-actors-{config.name}", *_login(config))
    return ExternalBroker.from_url(config.mqtt, login, tls)


def _login(config: EdgeConfig) -> tuple[str | None, str | None]:
    if not config.mqtt_login:
        return config.mqtt_user or None, config.mqtt_password or None
    try:
        line = Path(config.mqtt_login).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the MQTT login {config.mqtt_login} can not be read") from error
    user, _, password = line.partition(":")
    return user, password
