"""A program with a token writes through MetaServer, and watches, with whole processes that are killed."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.cloud_and_edge import CloudAndEdge, ending
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.kubectl
TOKEN = "a-token-of-an-administrator"
SERVICES = "/api/v1/namespaces/default/services"


def service(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"name": "web", "port": 8888}]}}


class Env(CloudAndEdge):
    """With MetaServer, and one user by token."""

    def __init__(self, folder: Path) -> None:
        (self.metaserver,) = free_ports(1)
        tokens = folder / "tokens.csv"
        tokens.write_text(f'{TOKEN},root,1,"system:masters"\n')
        super().__init__(
            folder,
            *("--runtime", "process", "--metaserver", f"127.0.0.1:{self.metaserver}"),
            cloud_options=("--token-auth-file", str(tokens)),
        )

    def ask(self, method: str, path: str, body: object = None, token: str = TOKEN) -> tuple[int, Any]:
        """Status and document of one answer; 0 when nobody answers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        sent = json.dumps(body) if body is not None else None
        with closing(http.client.HTTPConnection("127.0.0.1", self.metaserver, timeout=PATIENCE)) as client:
            client.request(method, path, sent, headers | ({"Content-Type": "application/json"} if sent else {}))
            answer = client.getresponse()
            return answer.status, json.loads(answer.read())

    def names(self, token: str = "") -> list[str]:
        """The Services that MetaServer shows."""
        status, listed = self.ask("GET", SERVICES, token=token)
        return [item["metadata"]["name"] for item in listed["items"]] if status == 200 else []

    @contextmanager
    def watch(self, version: str) -> Iterator[Iterator[tuple[str, str]]]:
        """The events of Services since a version, as type and name."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.metaserver, timeout=PATIENCE)) as client:
            path = f"{SERVICES}?watch=1&resourceVersion={version}"
            client.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
            answer = client.getresponse()
            assert answer.status == 200, answer.read()
            yield (_brief(json.loads(line)) for line in iter(answer.readline, b""))


def _brief(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"]["name"]


@pytest.mark.slow
def test_a_program_writes_and_watches_through_kills_of_both_sides(tmp_path: Path) -> None:
    env = Env(tmp_path)
    with ending(env.edge, env.cloud):
        env.start()
        eventually(lambda: env.ask("POST", SERVICES, service("a"))[0] in (201, 409), "the service is made")
        assert env.out("get", "service", "a", "-o", "jsonpath={.spec.ports[0].port}") == "8888"
        assert env.ask("POST", SERVICES, service("x"), token="")[0] == 401
        version = env.ask("GET", SERVICES)[1]["metadata"]["resourceVersion"]
        with env.watch(version) as events:
            env.kubectl("create", "service", "clusterip", "b", "--tcp=80")
            assert next(events) == ("ADDED", "b")
            env.cloud.kill()
            status, refusal = env.ask("POST", SERVICES, service("late"))
            assert status in (503, 504), refusal
            assert env.names() == ["a", "b"]
            env.cloud.start()
            assert env.kubectl("delete", "service", "a").returncode == 0
            assert next(events) == ("DELETED", "a")
        env.cloud.kill()
        env.edge.kill()
        env.edge.start()
        assert env.names() == ["b"]
        assert env.ask("GET", f"{SERVICES}?watch=1&resourceVersion={version}", token="")[0] == 410
        env.cloud.start()
        eventually(
            lambda: env.names(TOKEN) == ["b"], "the cloud answers again, and nothing was kept to be written later"
        )
        version = env.ask("GET", SERVICES)[1]["metadata"]["resourceVersion"]
        with env.watch(version) as events:
            assert env.ask("DELETE", f"{SERVICES}/b")[0] == 200
            assert next(events) == ("DELETED", "b")
