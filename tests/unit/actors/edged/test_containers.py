"""What a container of a pod is given: environment, volumes, description; and what probes and images come to."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.edged.pod import probe_state
from kubeedge_actors.actors.edged.pod.pod_spec import PodView, parse_pod
from kubeedge_actors.actors.edged.runtime import image_pull
from kubeedge_actors.actors.edged.runtime.container_spec import (
    NodeContext,
    container_spec,
    environment,
    expand_variables,
    field_ref_value,
    for_pod,
    in_running_pod,
    network_mode,
    pod_network,
    resource_field_ref_value,
)
from kubeedge_actors.actors.edged.runtime.pod_config_references import (
    SERVICES,
    ConfigError,
    ConfigReference,
    Objects,
    config_references,
)
from kubeedge_actors.actors.edged.runtime.pod_volumes import pod_volumes
from kubeedge_actors.drivers.containers.base import Container, Resolver
from kubeedge_actors.drivers.machine.base import HealthProbe
from kubeedge_actors.kubernetes.quantity import parse_quantity
from kubeedge_actors.kubernetes.registry_logins import RegistryLogin, registry_login
from kubeedge_actors.kubernetes.time import format_micro_time, format_time, parse_time
from tests.support.env.edged import pod

Json = dict[str, Any]
AROUND = NodeContext("edge-2", "192.0.2.2", "203.0.113.7", 2, 4 << 30)
CONFIG: Json = {"metadata": {"name": "c"}, "data": {"greeting": "hello", "other": "x"}}
SECRET: Json = {"metadata": {"name": "s"}, "data": {"password": base64.b64encode(b"pass").decode()}}
OBJECTS: Objects = {ConfigReference("configmap", "c"): CONFIG, ConfigReference("secret", "s"): SECRET}


def view(container: Json | None = None, **spec: Any) -> PodView:
    made = pod(**spec)
    made["metadata"] |= {"labels": {"app": "shop"}, "annotations": {"note": 'a "b"'}}
    made["spec"]["containers"][0] |= container or {}
    return parse_pod(made)


def env(*variables: Json, **container: Any) -> dict[str, str]:
    made = view({"env": list(variables), **container})
    return environment(made, made.app_containers[0], OBJECTS, AROUND)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("$", "$"),
        ("$()", "$()"),
        ("a$$b", "a$b"),
    ],
)
def test_variables_expand_as_in_kubernetes(text: str, result: str) -> None:
    assert expand_variables(text, {"A": "1", "B": "2"}) == result


@given(st.text(alphabet="$(AB)x", max_size=12))
def test_a_text_without_known_variables_only_loses_doubled_dollars(text: str) -> None:
    result = expand_variables(text, {})
    assert result.replace("$", "") == text.replace("$", "")
    assert len(result) <= len(text)


def test_a_variable_sees_those_before_it_and_wins_over_env_from() -> None:
    variables = env(
        {"name": "greeting", "value": "hi"},
        {"name": "BOTH", "value": "$(greeting) $(LATER) $(other)"},
        {"name": "LATER", "value": "z"},
        envFrom=[{"configMapRef": {"name": "c"}}, {"prefix": "S_", "secretRef": {"name": "s"}}],
    )
    assert variables == {"greeting": "hi", "other": "x", "S_password": "pass", "BOTH": "hi $(LATER) x", "LATER": "z"}


def test_facts_of_pod_and_container_are_variables() -> None:
    variables = env(
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
        resources={"limits": {"cpu": "250m"}},
    )
    assert variables == {"NAME": "shop", "APP": "shop", "IP": "203.0.113.7", "CPU": "250", "MEMORY": str(4 << 30)}


def test_annotations_are_quoted_lines() -> None:
    assert field_ref_value(view(), "metadata.annotations", AROUND) == 'note="a \\"b\\""'


@pytest.mark.parametrize("path", ["spec.none", "metadata.labels[app]", ""])
def test_an_unknown_field_is_missing(path: str) -> None:
    with pytest.raises(ConfigError):
        field_ref_value(view(), path, AROUND)


def test_an_unknown_resource_is_missing() -> None:
    with pytest.raises(ConfigError):
        resource_field_ref_value(view(), "main", {"resource": "cpu"}, AROUND)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "a"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "none", "key": "a"}}, 'secret "none" not found'),
        ({"configMapKeyRef": {"name": "c", "key": "a"}}, "couldn't find key a in ConfigMap default/c"),
    ],
)
def test_what_is_missing_is_named_as_a_kubelet_names_it(reference: Json, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        env({"name": "A", "valueFrom": reference})


def test_an_optional_key_that_is_missing_is_no_variable() -> None:
    optional = {"configMapKeyRef": {"name": "c", "key": "a", "optional": True}}
    assert env({"name": "A", "valueFrom": optional}) == {}


def files(**volume: Any) -> dict[str, tuple[bytes, int]]:
    made = view(volumes=[{"name": "v", **volume}])
    (found,) = pod_volumes(made, OBJECTS, AROUND)
    return {path: (file.data, file.mode) for path, file in found.files.items()}


def test_a_volume_shows_all_keys_or_those_that_are_named() -> None:
    assert files(configMap={"name": "c", "defaultMode": 0o400}) == {
        "greeting": (b"hello", 0o400),
        "other": (b"x", 0o400),
    }
    items = [{"key": "greeting", "path": "sub/g", "mode": 0o600}]
    assert files(configMap={"name": "c", "items": items}) == {"sub/g": (b"hello", 0o600)}
    with pytest.raises(ConfigError, match="references non-existent configmap key: none"):
        files(configMap={"name": "c", "items": [{"key": "none", "path": "n"}]})


def test_secrets_are_for_root_only_unless_the_pod_says_otherwise() -> None:
    assert files(secret={"secretName": "s", "defaultMode": 0o644}) == {"password": (b"pass", 0o600)}
    assert files(secret={"secretName": "s", "defaultMode": 0o440}) == {"password": (b"pass", 0o440)}
    made = view(volumes=[{"name": "v", "secret": {"secretName": "s"}}], securityContext={"runAsUser": 1000})
    assert pod_volumes(made, OBJECTS, AROUND)[0].files["password"].mode == 0o644


def test_a_projected_volume_holds_all_of_its_sources() -> None:
    sources = [
        {"configMap": {"name": "c", "items": [{"key": "greeting", "path": "g"}]}},
        {"secret": {"name": "s"}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    assert files(projected={"sources": sources}) == {
        "g": (b"hello", 0o644),
        "password": (b"pass", 0o600),
        "labels": (b'app="shop"', 0o644),
    }


def test_binary_data_is_bytes() -> None:
    objects = {ConfigReference("configmap", "c"): {"metadata": {}, "binaryData": {"b": "/wA="}}}
    made = view(volumes=[{"name": "v", "configMap": {"name": "c"}}])
    assert pod_volumes(made, objects, AROUND)[0].files["b"].data == b"\xff\x00"


def test_a_kind_of_volume_that_is_not_supported_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="volumes of the kind nfs are not supported"):
        files(nfs={"server": "x", "path": "/"})


def test_an_optional_volume_may_be_empty() -> None:
    assert files(configMap={"name": "none", "optional": True}) == {}


def test_everything_a_pod_refers_to_is_found_once() -> None:
    made = view(
        {"envFrom": [{"configMapRef": {"name": "c"}}], "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
        volumes=[
            {"name": "a", "configMap": {"name": "c"}},
            {"name": "b", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"secret": {"name": "p"}}]}},
        ],
        imagePullSecrets=[{"name": "pull"}],
    )  # fmt: skip
    assert config_references(made) == [
        ConfigReference("configmap", "c"),
        ConfigReference("serviceaccounttoken", "default", "", 3607),
        ConfigReference("secret", "p"),
        ConfigReference("secret", "s"),
        ConfigReference("secret", "pull"),
    ]


def test_a_container_is_described_with_all_that_the_pod_says() -> None:
    made = view(
        {
            "args": ["--name=$(NAME)"],
            "workingDir": "/w",
            "ports": [{"containerPort": 80, "hostPort": 8080, "protocol": "TCP"}],
            "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
            "volumeMounts": [{"name": "v", "mountPath": "/data", "subPath": "in", "readOnly": True}],
            "securityContext": {
                "privileged": True,
                "runAsGroup": 7,
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            },
        },
        securityContext={"runAsUser": 1000, "fsGroup": 5},
        hostname="h",
        hostAliases=[{"ip": "192.0.2.9", "hostnames": ["a", "b"]}],
    )
    spec = container_spec(made, made.app_containers[0], 3, {"NAME": "n"}, {"v": "/pods/v"})
    assert (spec.command, spec.args, spec.working_dir) == (("/app",), ("--name=n",), "/w")
    assert (spec.memory, spec.cpu, spec.user, spec.restart_count) == (64 << 20, 0.5, "1000:7", 3)
    assert [(mount.source, mount.subpath, mount.target, mount.read_only) for mount in spec.mounts] == [
        ("/pods/v", "in", "/data", True)
    ]
    assert [(port.container, port.host, port.protocol) for port in spec.ports] == [(80, 8080, "tcp")]
    assert (spec.privileged, spec.read_only_root, spec.no_new_privileges) == (True, True, True)
    assert (spec.capabilities_added, spec.capabilities_dropped) == (("NET_ADMIN",), ("ALL",))
    assert (spec.hostname, spec.hosts, spec.network) == ("h", (("a", "192.0.2.9"), ("b", "192.0.2.9")), "own")


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"volumeMounts": [{"name": "none", "mountPath": "/x"}]}, 'the pod has no volume "none"'),
        ({"resources": {"limits": {"memory": "lots"}}}, "the limit of memory is wrong"),
        ({"securityContext": {"runAsNonRoot": True, "runAsUser": 0}}, "breaks non-root policy"),
    ],
)
def test_a_container_that_can_not_be_described_says_why(container: Json, message: str) -> None:
    made = view(container)
    with pytest.raises(ConfigError, match=message):
        container_spec(made, made.app_containers[0], 0, {}, {})


def test_a_pod_has_a_network_of_its_own_only_when_it_needs_one() -> None:
    two = [{"name": "a", "image": "a"}, {"name": "b", "image": "a", "ports": [{"containerPort": 1, "hostPort": 2}]}]
    assert network_mode(view()) == "own"
    assert network_mode(view(hostNetwork=True)) == "host"
    assert network_mode(parse_pod(pod(containers=two))) == "pod"
    assert [port.host for port in pod_network(parse_pod(pod(containers=two))).ports] == [2]
    ip = {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    assert network_mode(view({"env": [ip]})) == "pod"
    assert network_mode(view(shareProcessNamespace=True)) == "pod"
    shared = view(shareProcessNamespace=True, hostNetwork=True)
    assert (network_mode(shared), pod_network(shared).host) == ("pod", True)


def test_names_and_kernel_parameters_are_what_the_pod_says() -> None:
    config = {
        "nameservers": ["192.0.2.53"],
        "searches": ["x"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}],
    }
    aliases = [{"ip": "192.0.2.9", "hostnames": ["a", "b"]}]
    sysctl = {"name": "net/ipv4/tcp_syncookies", "value": "1"}
    made = view(dnsPolicy="None", dnsConfig=config, hostAliases=aliases, securityContext={"sysctls": [sysctl]})
    network = pod_network(made)
    assert network.resolver == Resolver(
        servers=("192.0.2.53",), searches=("x",), options=("ndots:2", "rotate"), replaces=True
    )
    assert network.hosts == (("a", "192.0.2.9"), ("b", "192.0.2.9"))
    assert network.sysctls == (("net.ipv4.tcp_syncookies", "1"),)


@pytest.mark.parametrize(
    ("name", "host"), [("kernel.msgmax", False), ("net.core.somaxconn", False), ("net.ipv4.tcp_syncookies", True)]
)
def test_a_kernel_parameter_of_the_whole_machine_is_refused(name: str, host: bool) -> None:
    made = view(hostNetwork=host, securityContext={"sysctls": [{"name": name, "value": "1"}]})
    with pytest.raises(ConfigError, match=f'forbidden sysctl: "{name}" not allowlisted'):
        container_spec(made, made.app_containers[0], 0, {}, {})


@pytest.mark.parametrize(
    ("action", "probe"),
    [
        ({"exec": {"command": ["a", "b"]}}, HealthProbe(command=("a", "b"))),
        ({"tcpSocket": {"port": "web"}}, HealthProbe(host="192.0.2.2", port=80)),
        ({"grpc": {"port": 9}}, HealthProbe(host="192.0.2.2", port=9, grpc=True)),
        ({"grpc": {"port": 9, "service": "s"}}, HealthProbe(host="192.0.2.2", port=9, grpc=True, service="s")),
        (
            {"httpGet": {"port": 81, "path": "/z", "scheme": "HTTPS", "host": "h", "httpHeaders": [{"name": "A", "value": "1"}]}},
            HealthProbe(host="h", port=81, path="/z", tls=True, http=True, headers=(("A", "1"),)),
        ),
    ],
)  # fmt: skip
def test_a_probe_asks_what_the_pod_says(action: Json, probe: HealthProbe) -> None:
    assert probe_state.health_probe(action, {"web": 80}, "192.0.2.2") == probe


@pytest.mark.parametrize("action", [{"unknown": {}}, {"tcpSocket": {"port": "none"}}])
def test_a_probe_that_can_not_be_asked_is_refused(action: Json) -> None:
    with pytest.raises(ValueError, match=r"not supported|no port"):
        probe_state.health_probe(action, {}, "192.0.2.2")


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_a_probe_changes_its_mind_only_after_as_many_answers_in_a_row(answers: list[bool], good: int, bad: int) -> None:
    probe = {"successThreshold": good, "failureThreshold": bad}
    state = probe_state.initial_probe_state(probe, 0.0)
    for number, ok in enumerate(answers):
        before, state = state, state.with_result(probe, ok)
        needed = good if ok else bad
        alike = answers[max(number + 1 - needed, 0) : number + 1]
        if len(alike) == needed and set(alike) == {ok}:
            assert state.passed is ok
        else:
            assert state.passed is before.passed


@pytest.mark.parametrize(
    ("container", "policy"),
    [
        ({"image": "a"}, "Always"),
        ({"image": "a:latest"}, "Always"),
        ({"image": "localhost:5000/a"}, "Always"),
        ({"image": "a:1"}, "IfNotPresent"),
        ({"image": "a@sha256:1"}, "IfNotPresent"),
        ({"image": "a", "imagePullPolicy": "Never"}, "Never"),
    ],
)
def test_the_pull_policy_follows_the_tag_unless_it_is_given(container: Json, policy: str) -> None:
    assert image_pull.pull_policy(container) == policy


def test_credentials_are_those_of_the_images_registry() -> None:
    auth = base64.b64encode(b"me:secret").decode()
    config = {
        "auths": {"ghcr.io": {"auth": auth}, "https://index.docker.io/v1/": {"username": "you", "password": "pw"}}
    }
    secret = {"data": {".dockerconfigjson": base64.b64encode(msgspec.json.encode(config)).decode()}}
    assert registry_login("ghcr.io/a/b:1", [secret]) == RegistryLogin(username="me", password="secret")
    assert registry_login("busybox", [secret]) == RegistryLogin(username="you", password="pw")
    assert registry_login("quay.io/a", [secret]) is None
    assert registry_login("busybox", [{"data": {".dockerconfigjson": "!"}}, {}]) is None


@given(st.integers(0, 4_000_000_000))
def test_a_time_is_read_as_it_was_written(now: int) -> None:
    assert parse_time(format_time(now)) == now
    assert parse_time(format_micro_time(now + 0.25)) == pytest.approx(now + 0.25, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("100m", 0.1), ("1.5Gi", 1.5 * 2**30), ("2e3", 2000), ("3k", 3000)]
)
def test_a_quantity_is_a_number(text: str, number: float) -> None:
    assert parse_quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "x", "1Q", "--1", "1e"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"quantity|float"):
        parse_quantity(text)


def test_services_are_found_in_the_environment_and_what_a_pod_says_itself_counts_more() -> None:
    api = {
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"clusterIP": "192.0.2.1", "ports": [{"port": 443}]},
    }
    db = {
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {"clusterIP": "192.0.2.2", "ports": [{"port": 5432}]},
    }
    objects: Objects = {SERVICES: {"metadata": {"name": "services"}, "items": [api, db]}}
    variables = [{"name": "URL", "value": "tcp://$(DB_SERVICE_HOST)"}, {"name": "DB_SERVICE_PORT", "value": "1"}]
    made = view({"env": variables})
    found = environment(made, made.app_containers[0], objects, AROUND)
    assert (found["URL"], found["DB_SERVICE_PORT"], found["KUBERNETES_SERVICE_HOST"]) == (
        "tcp://192.0.2.2",
        "1",
        "192.0.2.1",
    )
    made = view(enableServiceLinks=False)
    found = environment(made, made.app_containers[0], objects, AROUND)
    assert "DB_SERVICE_HOST" not in found
    assert found["KUBERNETES_SERVICE_PORT"] == "443"


@pytest.mark.parametrize(("api", "own_network", "host_network", "seen"), [
    ("127.0.0.1", True, False, None),
    ("127.0.0.1", True, True, "127.0.0.1"),
    ("127.0.0.1", False, False, "127.0.0.1"),
    ("0.0.0.0", True, False, "192.0.2.2"),
    ("192.0.2.77", True, False, "192.0.2.77"),
])  # fmt: skip
def test_the_nodes_own_api_is_told_to_pods_that_can_reach_it(
    api: str, own_network: bool, host_network: bool, seen: str | None
) -> None:
    made = view(hostNetwork=host_network)
    node = for_pod(NodeContext("edge-2", "192.0.2.2", api=(api, 10550)), made, "", own_network=own_network)
    found = environment(made, made.app_containers[0], {}, node)
    assert found.get("KUBERNETES_SERVICE_HOST") == seen
    assert found.get("KUBERNETES_SERVICE_PORT") == ("10550" if seen else None)


def test_a_container_may_have_a_restart_policy_of_its_own() -> None:
    inits = [
        {"name": name, "image": "i", "restartPolicy": policy} for name, policy in (("a", "Never"), ("b", "Always"))
    ]
    made = parse_pod(pod(initContainers=inits, restartPolicy="Always"))
    assert [(each.kind, each.policy) for each in made.containers] == [
        ("init", "Never"),
        ("sidecar", "Always"),
        ("main", "Always"),
    ]
    assert view({"restartPolicy": "Never"}, restartPolicy="Always").app_containers[0].policy == "Never"


def test_an_ephemeral_container_joins_what_runs_already() -> None:
    debug = {"name": "look", "image": "tools:1", "targetContainerName": "main"}
    viewed = view(ephemeralContainers=[debug])
    (look,) = viewed.ephemeral_containers
    plain = container_spec(viewed, look, 0, {}, {})
    main = Container(id="c1", pod=viewed.name, name="main", image="i", phase="running")
    joined = in_running_pod(plain, look, [main])
    assert (joined.network, joined.beside, joined.pids_of) == ("pod", "c1", "c1")
    assert in_running_pod(plain, viewed.app_containers[0], [main]) == plain
    with pytest.raises(ConfigError, match="target container main does not run"):
        in_running_pod(plain, look, [msgspec.structs.replace(main, phase="exited")])
