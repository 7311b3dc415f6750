"""The parts of the code that mutants.py looks at, each with the tests that are its own, the examples in its docstrings included."""

from __future__ import annotations

from typing import NamedTuple


class Area(NamedTuple):
    """A folder of the code, and the tests that are its own."""

    code: str
    tests: tuple[str, ...]


ACTORS = (
    "kubeedge_actors/actors",
    "tests/unit/actors",
    "tests/unit/assembly/test_queries.py",
    "tests/unit/test_custom_messages.py",
    "tests/recordings",
    "tests/integration",
    "tests/security/test_rule_doors.py",
)
"""Parts of the actors have the same tests, so that what they reach is measured once for all of them."""

AREAS = {
    "supervisors": Area(
        "kubeedge_actors/supervisors",
        (
            "kubeedge_actors/supervisors",
            "tests/unit/supervisors",
            "tests/unit/control",
            "tests/unit/test_actorsystem.py",
            "tests/unit/test_module.py",
        ),
    ),
    "actors": Area("kubeedge_actors/actors", ACTORS),
    "router": Area("kubeedge_actors/actors/router", ACTORS),
    "dynamiccontroller": Area("kubeedge_actors/actors/dynamiccontroller", ACTORS),
    "metaserver": Area("kubeedge_actors/actors/metamanager/metaserver", ACTORS),
    "taskmanager": Area("kubeedge_actors/actors/taskmanager", ACTORS),
    "edgeapplication": Area("kubeedge_actors/actors/edgeapplication", ACTORS),
    "nodegroup": Area("kubeedge_actors/actors/nodegroup", ACTORS),
    "wire": Area(
        "kubeedge_actors/wire",
        (
            "kubeedge_actors/wire",
            "tests/unit/wire",
            "tests/unit/test_custom_messages.py",
            "tests/recordings/test_wire.py",
            "tests/unit/actors/dynamiccontroller",
            "tests/unit/actors/metamanager",
        ),
    ),
    "broker": Area(
        "kubeedge_actors/drivers/broker",
        (
            "kubeedge_actors/drivers/broker",
            "tests/unit/drivers/broker",
            "tests/contract/test_broker.py",
            "tests/contract/test_mqtt_conformance.py",
            "tests/contract/test_own_mqtt.py",
            "tests/unit/assembly/test_mqtt.py",
            "tests/security/test_mqtt.py",
        ),
    ),
    "store": Area(
        "kubeedge_actors/drivers/store",
        (
            "kubeedge_actors/drivers/store",
            "tests/unit/drivers/store",
            "tests/contract/test_store.py",
            "tests/contract/test_removed_databases.py",
            "tests/unit/deadletters/test_durable_dead_letters.py",
            "tests/unit/actors/cloudhub/test_node_outbox.py",
            "tests/security/test_at_rest.py",
        ),
    ),
    "link": Area(
        "kubeedge_actors/drivers/link",
        (
            "kubeedge_actors/drivers/link",
            "tests/unit/drivers/link",
            "tests/contract/test_link.py",
            "tests/contract/test_link_loss.py",
            "tests/integration/test_cloudhub_link.py",
            "tests/integration/test_edgehub_link.py",
            "tests/security/test_frame_limits.py",
        ),
    ),
    "certificates": Area(
        "kubeedge_actors/kubernetes/certificates",
        (
            "kubeedge_actors/kubernetes/certificates",
            "tests/unit/drivers/bootstrap",
            "tests/unit/drivers/pki",
            "tests/security/test_certificates.py",
            "tests/security/test_join_tokens.py",
        ),
    ),
    "apiserver": Area(
        "kubeedge_actors/apiserver",
        (
            "kubeedge_actors/apiserver",
            "tests/unit/apiserver",
            "tests/contract/test_cluster.py",
            "tests/integration/test_controllers_on_the_api.py",
            "tests/security/test_api_matrix.py",
            "tests/security/test_node_restriction.py",
        ),
    ),
    "dashboard": Area("kubeedge_actors/dashboard", ("kubeedge_actors/dashboard", "tests/unit/dashboard")),
}
