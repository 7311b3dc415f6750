"""MetaServer of a node and DynamicController of its cloud, joined by both hubs in memory, before an API server of ours that knows users by tokens."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from kubeedge_actors.actors.dynamiccontroller import controller as dynamiccontroller
from kubeedge_actors.actors.metamanager.metaserver.meta_server import MetaServer, MetaServerState
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import ANYBODY, TokenAuthorizer
from kubeedge_actors.apiserver import ApiServer
from kubeedge_actors.apiserver.auth import AUTHENTICATED, MASTERS, User
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.drivers.cluster.delegated import KubernetesDelegatedApi
from kubeedge_actors.drivers.cluster.selectors import Selector
from kubeedge_actors.drivers.http.stdlib_http_server import StdlibHttpServer
from tests.support.api_client import ApiClient
from tests.support.env.both_sides import NODE, BothSidesEnv
from tests.support.waiting import PATIENCE

ADMIN, NOBODY = "token-of-an-administrator", "token-of-somebody-without-rights"


class MetaServerEnv:
    """`ask` asks MetaServer, `admin` the API itself."""

    def __init__(self, folder: Path) -> None:
        users = {ADMIN: User("root", (MASTERS, AUTHENTICATED)), NOBODY: User("nobody", (AUTHENTICATED,))}
        self.server = ApiServer(database=folder / "api.db", host="127.0.0.1", port=0, tokens=users)
        self.server.start()
        self.admin = ApiClient(self.server.url)
        self.sides = BothSidesEnv(folder)
        self._delegated = KubernetesDelegatedApi(ClientConfig(self.server.url))
        for spec in dynamiccontroller.child_specs(self._delegated):
            self.sides.cloud.add(spec)
        self.store = self.sides.store
        self.site = StdlibHttpServer("127.0.0.1", 0)
        self.site.bind()
        self._state = MetaServerState(True)  # the link was there before
        self.sides.edge.add(MetaServer.spec(self._meta_server))

    def _meta_server(self) -> MetaServer:
        matching = lambda *terms: Selector(*terms).matches  # noqa: E731
        meta = self.store.meta
        authorizer = TokenAuthorizer(meta, (), ANYBODY, time.time)
        return MetaServer(self.site, meta, matching, time.time, authorizer, NODE, has_cloud=True, state=self._state)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str = "",
        content_type: str = "application/json",
    ) -> tuple[int, Any]:
        """Status and document of one answer. A body that is no text is sent as JSON."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        sent = body if isinstance(body, str | None) else json.dumps(body)
        with closing(http.client.HTTPConnection(self.site.address, timeout=PATIENCE)) as client:
            client.request(method, path, sent, headers | ({"Content-Type": content_type} if sent else {}))
            answer = client.getresponse()
            return answer.status, json.loads(answer.read())

    @contextmanager
    def watch(self, path: str, token: str = "") -> Iterator[Iterator[tuple[str, str]]]:
        """The events of a watch, as type and name."""
        with closing(http.client.HTTPConnection(self.site.address, timeout=PATIENCE)) as client:
            client.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = client.getresponse()
            assert answer.status == 200, answer.read()
            yield (_brief(json.loads(line)) for line in iter(answer.readline, b""))

    def stop(self) -> None:
        """End all of it."""
        self.site.close()
        self.sides.stop()
        self._delegated.close()
        self.admin.close()
        self.server.stop()


def _brief(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"]["name"]
