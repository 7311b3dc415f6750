"""Calls of programs at a node: a token goes to the API and nowhere else, and what one node watches concerns nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeedge_actors.actors.cloudhub.frame_limits import CALL, too_large_sentence
from kubeedge_actors.actors.cloudhub.session import acked_object
from kubeedge_actors.actors.edgehub.frames import asker_of
from kubeedge_actors.actors.metamanager.metaserver.messages import CallCloud, CloudAway, CloudSilent, TokenNotShown
from kubeedge_actors.actors.metamanager.metaserver.meta_server import MetaServer, MetaServerState
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import ANYBODY, TokenAuthorizer
from kubeedge_actors.apiserver import ApiServer, TlsFiles
from kubeedge_actors.apiserver.auth import AUTHENTICATED, MASTERS, User
from kubeedge_actors.drivers.cluster.base import Delegator
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.drivers.cluster.delegated import KubernetesDelegatedApi
from kubeedge_actors.drivers.http.stdlib_http_server import StdlibHttpServer
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.supervisors import Future
from kubeedge_actors.testing import inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.ack_policy import ack_key
from kubeedge_actors.wire.application import Application
from kubeedge_actors.wire.messages import ApplicationRequest, LinkDown, LinkUp, ObjectPushed, QueryObject, Response

SECRETS = "/api/v1/namespaces/default/secrets"


@pytest.mark.processes
def test_a_token_is_not_taken_for_the_cloud_that_passes_it_on(tmp_path: Path) -> None:
    authority = FileAuthority(tmp_path / "certs")
    tls, admin = authority.server_certificate(["127.0.0.1"]), authority.client_certificate()
    users = {
        "token-of-nobody-in-particular": User("nobody", (AUTHENTICATED,)),
        "token-of-root": User("root", (MASTERS,)),
    }
    server = ApiServer(
        database=tmp_path / "api.db",
        host="127.0.0.1",
        port=0,
        tls=TlsFiles(Path(tls.cert), Path(tls.key), authority.ca_path),
        tokens=users,
    )
    server.start()
    config = ClientConfig(
        server.url,
        ca=authority.ca_path.read_bytes(),
        certificate=Path(admin.cert).read_bytes(),
        key=Path(admin.key).read_bytes(),
    )
    api = KubernetesDelegatedApi(config)
    try:
        statuses = [
            api.request(who, "GET", SECRETS)[0]
            for who in (
                Delegator("edge-1", "token-of-root"),
                Delegator("edge-1", "token-of-nobody-in-particular"),
                Delegator("edge-1", "a guess"),
                Delegator("edge-1"),
            )
        ]
        assert statuses == [200, 403, 401, 403]
        assert api.request(Delegator("edge-1"), "GET", "/api/v1/namespaces/default/services")[0] == 200
    finally:
        api.close()
        server.stop()
        authority.close()


def test_what_a_program_watches_is_no_push_to_its_node() -> None:
    content = {"metadata": {"name": "a", "uid": "u"}}
    own = ObjectPushed(operation="insert", type="pod", namespace="n", name="a", object=content, resource_version="5")
    watched = ObjectPushed(
        operation="insert",
        type="pod",
        namespace="n",
        name="a",
        object=content,
        resource_version="5",
        source=constants.SOURCE_DYNAMICCONTROLLER,
    )
    assert ack_key(own) != ack_key(watched)
    assert acked_object(own) is own
    assert acked_object(watched) is None


def test_an_answer_goes_to_who_has_asked() -> None:
    answer = Response(parent_msg_id="m", resource="", operation=constants.APPLICATION_RESPONSE)
    assert asker_of(answer) == constants.SOURCE_METASERVER
    assert asker_of(Response(parent_msg_id="m", resource="")) == constants.METAMANAGER
    assert asker_of(ApplicationRequest(resource="null", content={})) == constants.SOURCE_METASERVER
    assert asker_of(QueryObject(type="pod", namespace="n", name="a")) == constants.METAMANAGER


def test_a_call_is_bounded() -> None:
    call = ApplicationRequest(node="edge-1", resource="null", content={})
    assert too_large_sentence(call, CALL) == ""
    assert "dropped" in too_large_sentence(call, CALL + 1)


def test_a_token_is_not_sent_to_a_cloud_that_would_call_with_rights_of_its_own() -> None:
    """A made-up token would open the cluster's Secrets to every program of the node."""
    site, store = StdlibHttpServer("127.0.0.1", 0), FakeStore()
    authorizer = TokenAuthorizer(store.meta, (), ANYBODY, lambda: 0.0)
    state = MetaServerState()
    harness = inline(
        MetaServer.spec(
            lambda: MetaServer(
                site, store.meta, lambda *terms: bool, lambda: 0.0, authorizer, "edge-1", has_cloud=True, state=state
            )
        )
    )
    hub = harness.probe(constants.EDGEHUB)

    def call(token: str = "made up", *, trusted: bool = False) -> Future:
        application = Application(key="/core/v1/secrets/default/null", verb="list", token=token)
        future = harness.ref(constants.SOURCE_METASERVER).ask(CallCloud(application=application, trusted=trusted), 5.0)
        harness.run()
        return future

    with pytest.raises(CloudAway):
        call().get()
    harness.publish(LinkUp(is_native=False))
    with pytest.raises(TokenNotShown):
        call().get()
    assert len(hub) == 0
    call(trusted=True)
    call(token="")
    assert [len(hub.of(ApplicationRequest)), len(hub.take())] == [2, 2]
    harness.publish(LinkDown(reason="cut"))
    harness.publish(LinkUp(is_native=True))
    waiting = call()
    assert hub.only().content["Token"] == "made up"
    harness.publish(LinkDown(reason="cut"))
    harness.run()
    with pytest.raises(CloudSilent):
        waiting.get()
    with pytest.raises(CloudAway):
        call().get()
