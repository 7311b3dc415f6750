"""The server without socket, thread and clock: requests in, answers out, background work done at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl

import msgspec

from kubeedge_actors.apiserver.asgi import error_response
from kubeedge_actors.apiserver.auth import LOCAL_ADMIN, User
from kubeedge_actors.apiserver.errors import ApiError, PlainNotFound
from kubeedge_actors.apiserver.http_messages import Request, Response, text_response
from kubeedge_actors.apiserver.storage.database import Database
from kubeedge_actors.apiserver.wiring import build_server
from tests.support.api_client import JSON_HEADERS, MERGE, Answer

START = 1_800_000_000.0


class InProcessApi:
    """All parts over one database; `now` is the time. Who makes one closes it: `with Inside() as inside`."""

    def __init__(self, path: Path | str = ":memory:") -> None:
        self.now = START
        self._later: deque[Callable[[], None]] = deque()
        self.database = Database(path)
        try:
            self.parts = build_server(self.database, self._later.append, lambda: self.now)
            self.store = self.parts.store
            self.settle()
        except BaseException:
            self.database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def settle(self) -> None:
        """Commits, and does what follows from it, until nothing is left."""
        self.store.commit()
        while self._later:
            self._later.popleft()()
            self.store.commit()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        user: User = LOCAL_ADMIN,
    ) -> Answer:
        """One request and what follows from it; a stream is answered without its content."""
        bare, _, query = path.partition("?")
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        lower = {name.lower(): value for name, value in (headers or JSON_HEADERS).items()}
        request = Request(method, bare, dict(parse_qsl(query, keep_blank_values=True)), lower, data, user)
        try:
            answer = self.parts.routes.answer(request)
        except ApiError as error:
            answer = error_response(error)
        except PlainNotFound:
            answer = text_response("404 page not found\n", 404)
        self.settle()
        if isinstance(answer, Response):
            response_headers = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, response_headers, answer.body)
        return Answer(200, {}, b"")

    def good(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """One request that must succeed; its answer as JSON."""
        answer = self.call(method, path, body, headers)
        assert answer.status < 300, answer
        return answer.json

    def get(self, path: str) -> Any:
        """GET that must succeed."""
        return self.good("GET", path)

    def post(self, path: str, body: object) -> Any:
        """POST that must succeed."""
        return self.good("POST", path, body)

    def put(self, path: str, body: object) -> Any:
        """PUT that must succeed."""
        return self.good("PUT", path, body)

    def patch(self, path: str, body: object, headers: Mapping[str, str] = MERGE) -> Any:
        """PATCH that must succeed."""
        return self.good("PATCH", path, body, headers)

    def delete(self, path: str, body: object = None) -> Any:
        """DELETE that must succeed."""
        return self.good("DELETE", path, body)

    def exists(self, path: str) -> bool:
        """Whether GET finds something."""
        return self.call("GET", path).status == 200

    def close(self) -> None:
        """Closes the database."""
        self.database.close()
