"""Puts the parts of the server together."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .background.collector import Collector
from .background.definitions import Definitions
from .background.expiry import Expiry
from .background.namespaces import Namespaces
from .discovery import Discovery
from .intake import Intake
from .listing import Reader
from .openapi import OpenApi
from .patching import Patcher
from .registry import Registry
from .removing import Remover
from .rendering import Renderings
from .reviews import Reviews
from .routes import Handlers, Routes
from .schema.decode import Types
from .storage.collection import Collection
from .storage.database import Database
from .storage.store import Store
from .subresources import Subresources
from .tokens import Tokens
from .watching import Bell, Watcher
from .writing import Writer

Later = Callable[[Callable[[], None]], object]


class Parts(msgspec.Struct):
    """What the server keeps hold of; `tick` is to be called every few seconds."""

    store: Store
    routes: Routes
    bell: Bell
    tick: Callable[[], None]


def assemble(database: Database, later: Later, clock: Callable[[], float]) -> Parts:
    """All parts over one database; `later` runs a function in a further turn of the loop. Raises StoreCorrupt."""
    registry = Registry()
    store = Store(database, registry.fields, clock)
    definitions = Definitions(registry, clock)
    intake = Intake(Types(), definitions.structural)
    renderings = Renderings(definitions.table, definitions.converted, clock)
    patcher, bell = Patcher(intake.types), Bell()
    writer, remover = (Writer(store, intake, patcher, renderings, clock), Remover(store, renderings, clock))
    collector, namespaces = (Collector(store, registry, remover, later), Namespaces(store, registry, remover, later))
    expiry = Expiry(store, clock)

    def published(collection: Collection) -> None:
        definitions.published(store, collection)
        namespaces.published(store, collection)
        collector.published(store, collection)
        bell.ring(collection)

    store.on_publish = published
    definitions.ship(store)
    namespaces.make(intake, clock())
    store.commit()
    collector.sweep()
    handlers = Handlers(
        Discovery(registry),
        OpenApi(registry, intake.types, definitions.structural),
        Reader(store, renderings),
        writer,
        remover,
        Watcher(store, renderings, bell),
        Subresources(store, registry, intake, patcher, writer, remover, clock),
        Reviews(intake, clock),
        Tokens(intake, clock),
    )
    routes = Routes(registry, handlers)
    return Parts(store, routes, bell, expiry.tick)
