"""The actor MetaServer: its HTTP server answers while it runs."""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.actors.metamanager.metaserver.api import Api, Matching
from kubeedge_actors.drivers.http.base import HttpServer
from kubeedge_actors.drivers.store.base import MetaStore
from kubeedge_actors.module import Module
from kubeedge_actors.wire import constants


class MetaServer(Module):
    """Serves the store as a read-only Kubernetes API. Whoever bound the server closes it.

    `matching` makes the test for a label and a field selector; `now`: epoch seconds, for ages.
    """

    name = constants.SOURCE_METASERVER
    group = constants.GROUP_META

    def __init__(self, site: HttpServer, store: MetaStore, matching: Matching, now: Callable[[], float]) -> None:
        self._site = site
        self._api = Api(store, matching, now)

    def on_start(self) -> None:
        """Answer."""
        self._site.serve(self._api)
