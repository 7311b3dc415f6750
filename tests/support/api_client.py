"""A server for tests, and a small HTTP client that shows everything."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec

from kubeedge_actors.apiserver import ApiServer, Store
from tests.support.waiting import PATIENCE

Json = dict[str, Any]
JSON_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
KEPT_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


class Answer(msgspec.Struct):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


class ApiClient:
    """One kept-alive connection to a server."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        self._address, self._context = urlsplit(url), context
        self._connection: http.client.HTTPConnection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if self._address.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=self._context)
        return http.client.HTTPConnection(host, port, timeout=PATIENCE)

    def call(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request; `body` is bytes, text, or anything that JSON can carry."""
        data = body if isinstance(body, bytes | str) or body is None else msgspec.json.encode(body)
        sent_headers = JSON_HEADERS if headers is None else headers
        self._connection.request(method, path, data, dict(sent_headers))
        response = self._connection.getresponse()
        response_headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, response_headers, response.read())

    def get(self, path: str, **headers: str) -> Any:
        """GET as JSON; it must succeed."""
        return self._good(self.call("GET", path, headers=headers or None))

    def post(self, path: str, body: object) -> Any:
        """POST as JSON; it must succeed."""
        return self._good(self.call("POST", path, body))

    def put(self, path: str, body: object) -> Any:
        """PUT as JSON; it must succeed."""
        return self._good(self.call("PUT", path, body))

    def patch(self, path: str, body: object, headers: Mapping[str, str] = MERGE) -> Any:
        """PATCH, a merge patch if not said otherwise; it must succeed."""
        return self._good(self.call("PATCH", path, body, headers))

    def delete(self, path: str, body: object = None) -> Any:
        """DELETE; it must succeed."""
        return self._good(self.call("DELETE", path, body))

    def _good(self, answer: Answer) -> Any:
        assert answer.status < 300, answer
        return answer.json

    @contextmanager
    def watch(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[Iterator[Json]]:
        """The events of a watch, on a connection of its own."""
        connection = self._connect()
        try:
            connection.request("GET", path, headers=dict(headers or {"Accept": "application/json"}))
            response = connection.getresponse()
            assert response.status == 200, response.read()
            yield (msgspec.json.decode(line) for line in response)
            response.close()
        finally:
            connection.close()

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


def wipe(server: ApiServer) -> None:
    """Removes all objects but what every fresh server has."""

    def work(store: Store) -> None:
        for resource in store.resources():
            for entry in store.collection(resource).scan():
                kept = resource == "namespaces" and entry.name in KEPT_NAMESPACES
                if not kept and not entry.name.endswith(".kubeedge.io"):
                    store.remove(resource, entry)

    server.transact(work)


def pod(name: str, **spec: object) -> Json:
    """A small pod."""
    container = {"name": "c", "image": "example.com/web:1"}
    meta = {"name": name, "labels": {"app": "w"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container], **spec}}


def config_map(name: str, **data: str) -> Json:
    """A small config map."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"a": "1"}}


def deployment(name: str) -> Json:
    """A small deployment."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "example.com/web:1"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
