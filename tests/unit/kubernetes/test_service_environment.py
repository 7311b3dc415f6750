"""The variables by which pods find Services are a kubelet's."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.kubernetes.service_environment import api_variables, service_list, service_variables

Json = dict[str, Any]


def service(name: str, address: str, *ports: Json, namespace: str = "shop") -> Json:
    spec = {"clusterIP": address, "ports": list(ports), "selector": {"app": "x"}}
    return {"metadata": {"name": name, "namespace": namespace, "uid": "u"}, "spec": spec}


API = service("kubernetes", "192.0.2.1", {"name": "https", "port": 443, "protocol": "TCP"}, namespace="default")
DB = service("my-db", "192.0.2.2", {"name": "sql", "port": 5432}, {"name": "admin-web", "port": 53, "protocol": "UDP"})


def test_a_service_is_told_as_a_kubelet_tells_it() -> None:
    assert service_variables("shop", [DB], links=True) == {
        "MY_DB_SERVICE_HOST": "192.0.2.2",
        "MY_DB_SERVICE_PORT": "5432",
        "MY_DB_SERVICE_PORT_SQL": "5432",
        "MY_DB_SERVICE_PORT_ADMIN_WEB": "53",
        "MY_DB_PORT": "tcp://192.0.2.2:5432",
        "MY_DB_PORT_5432_TCP": "tcp://192.0.2.2:5432",
        "MY_DB_PORT_5432_TCP_PROTO": "tcp",
        "MY_DB_PORT_5432_TCP_PORT": "5432",
        "MY_DB_PORT_5432_TCP_ADDR": "192.0.2.2",
        "MY_DB_PORT_53_UDP": "udp://192.0.2.2:53",
        "MY_DB_PORT_53_UDP_PROTO": "udp",
        "MY_DB_PORT_53_UDP_PORT": "53",
        "MY_DB_PORT_53_UDP_ADDR": "192.0.2.2",
    }


def test_without_links_only_the_api_is_told_and_nothing_without_an_address() -> None:
    found = service_variables("shop", [API, DB], links=False)
    assert found == api_variables("192.0.2.1", 443)
    assert (found["KUBERNETES_SERVICE_HOST"], found["KUBERNETES_SERVICE_PORT"]) == ("192.0.2.1", "443")
    silent = [service("headless", "None", {"port": 1}), service("outside", ""), service("portless", "192.0.2.3")]
    assert service_variables("shop", silent, links=True) == {}


def test_of_two_of_one_name_that_of_the_pods_namespace_counts() -> None:
    own = service("kubernetes", "192.0.2.9", {"port": 1})
    for order in ([own, API], [API, own]):
        assert service_variables("shop", order, links=True)["KUBERNETES_SERVICE_HOST"] == "192.0.2.9"
    other = service("web", "192.0.2.7", {"port": 1}, namespace="elsewhere")
    assert service_variables("shop", [other], links=True) == {}


def test_addresses_of_ipv6_are_bracketed_in_urls_only() -> None:
    found = service_variables("shop", [service("a", "2001:db8::1", {"port": 80})], links=True)
    assert (found["A_SERVICE_HOST"], found["A_PORT"]) == ("2001:db8::1", "tcp://[2001:db8::1]:80")


def test_a_node_is_told_what_it_needs_and_no_more() -> None:
    told = service_list("shop", [DB])
    assert told["metadata"] == {"name": "services", "namespace": "shop"}
    assert told["items"] == [
        {
            "metadata": {"name": "my-db", "namespace": "shop"},
            "spec": {
                "clusterIP": "192.0.2.2",
                "ports": [{"name": "sql", "port": 5432}, {"name": "admin-web", "port": 53, "protocol": "UDP"}],
            },
        }
    ]
    assert service_variables("shop", told["items"], links=True) == service_variables("shop", [DB], links=True)
