"""Calls of programs at a node: a token goes to the API and nowhere else, and what one node watches concerns nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeedge_actors.actors.cloudhub.frame_limits import CALL, too_large_sentence
from kubeedge_actors.actors.cloudhub.session import acked_object
from kubeedge_actors.actors.edgehub.frames import asker_of
from kubeedge_actors.apiserver import ApiServer, TlsFiles
from kubeedge_actors.apiserver.auth import AUTHENTICATED, MASTERS, User
from kubeedge_actors.drivers.cluster.base import Delegator
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.drivers.cluster.delegated import KubernetesDelegatedApi
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.ack_policy import ack_key
from kubeedge_actors.wire.messages import ApplicationRequest, ObjectPushed, QueryObject, Response

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
