"""Puts the parts of the server together."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .codec.builtin_types import BuiltinTypes
from .codec.decoder import ObjectDecoder
from .codec.response_encoder import ResponseEncoders
from .controllers.crd_establishing import CrdController
from .controllers.event_ttl import EventTtl
from .controllers.garbage_collector import GarbageCollector
from .controllers.namespaces import NamespaceController
from .handlers.access_reviews import AccessReviewHandler
from .handlers.delete import Deleter
from .handlers.metrics import MetricsHandler
from .handlers.read import Reader
from .handlers.subresources import Subresources
from .handlers.token_request import TokenRequestHandler
from .handlers.watch import Watcher, WatchNotifier
from .handlers.write import Writer
from .node_admission import NodeAdmission
from .node_authorizer import NodeAuthorizer
from .patch.patcher import Patcher
from .registry.discovery import Discovery
from .registry.openapi import OpenApi
from .registry.resource_registry import ResourceRegistry
from .routes import Handlers, Routes
from .storage.collection import Collection
from .storage.database import Database
from .storage.store import Store

Later = Callable[[Callable[[], None]], object]


class ServerParts(msgspec.Struct):
    """What the server keeps hold of; `tick` is to be called every few seconds."""

    store: Store
    routes: Routes
    notifier: WatchNotifier
    tick: Callable[[], None]


def build_server(database: Database, later: Later, clock: Callable[[], float]) -> ServerParts:
    """All parts over one database; `later` runs a function in a further turn of the loop. Raises StoreCorrupt."""
    registry = ResourceRegistry()
    store = Store(database, registry.selectable_fields, clock)
    definitions = CrdController(registry, clock)
    intake = ObjectDecoder(BuiltinTypes(), definitions.structural_schema)
    renderings = ResponseEncoders(definitions.table_printer, definitions.needs_conversion, clock)
    patcher, bell, admission = Patcher(intake.types), WatchNotifier(), NodeAdmission(store)
    writer = Writer(store, intake, patcher, renderings, admission, clock)
    remover = Deleter(store, renderings, admission, clock)
    collector, namespaces = (
        GarbageCollector(store, registry, remover, later),
        NamespaceController(store, registry, remover, later),
    )

    def published(collection: Collection) -> None:
        definitions.on_published(store, collection)
        namespaces.on_published(store, collection)
        collector.on_published(store, collection)
        bell.notify(collection)

    store.on_publish = published
    definitions.install_bundled(store)
    namespaces.create_defaults(intake, clock())
    store.commit()
    collector.collect_at_start()
    handlers = Handlers(
        Discovery(registry),
        OpenApi(registry, intake.types, definitions.structural_schema),
        Reader(store, renderings),
        writer,
        remover,
        Watcher(store, renderings, bell),
        Subresources(store, registry, intake, patcher, writer, remover, clock),
        AccessReviewHandler(intake, clock),
        TokenRequestHandler(intake, admission, clock),
        NodeAuthorizer(store),
        MetricsHandler(store, registry),
    )
    return ServerParts(store, Routes(registry, handlers), bell, EventTtl(store, clock).tick)
