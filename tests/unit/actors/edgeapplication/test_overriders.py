"""Overriders change what they name and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.edgeapplication.images import Image, OverriderError, override_image
from kubeedge_actors.actors.edgeapplication.overriders import apply_overriders

Json = dict[str, Any]
NAMES = st.sampled_from(["main", "side", "none-such"])
WORDS = st.lists(st.sampled_from(["-v", "--port=80", "run", ""]), max_size=4)
ENV = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["A", "B", "C"]), "value": st.text(max_size=3)}),
    max_size=3,
    unique_by=lambda variable: variable["name"],
)
QUANTITIES = st.dictionaries(st.sampled_from(["cpu", "memory"]), st.sampled_from(["1", "250m", "64Mi"]))
RESOURCES = st.fixed_dictionaries({}, optional={"limits": QUANTITIES, "requests": QUANTITIES})
IMAGES = st.sampled_from(
    [
        "nginx",
        "nginx:1.25",
        "library/nginx:1.25-alpine",
        "quay.io/a/b:v1",
        "localhost/x",
        "mirror.example:5000/a/b-c_d",
        f"ghcr.io/a/b@sha256:{'ab' * 32}",
        f"a/b:v1@sha256:{'01' * 32}",
    ]
)
COMPONENTS = st.sampled_from(["Registry", "Repository", "Tag"])
VALUES = st.sampled_from(["v2", "quay.io", "quay.io:443", "a/b", "latest", f"sha256:{'cd' * 32}"])


def container(name: str) -> st.SearchStrategy[Json]:
    optional = {"command": WORDS, "args": WORDS, "env": ENV, "resources": RESOURCES, "tty": st.booleans()}
    return st.fixed_dictionaries({"name": st.just(name), "image": IMAGES}, optional=optional)


@st.composite
def deployments(draw: st.DrawFn) -> Json:
    pod = {"containers": [draw(container("main")), draw(container("side"))], "hostNetwork": draw(st.booleans())}
    return {
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": draw(st.integers(0, 5)), "template": {"metadata": {}, "spec": pod}},
    }


def rules(operators: list[str], value: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Json]]:
    rule = {"containerName": NAMES, "operator": st.sampled_from(operators), "value": value}
    return st.lists(st.fixed_dictionaries(rule), max_size=3)


OVERRIDERS = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(0, 9),
        "commandOverriders": rules(["add", "remove"], WORDS),
        "argsOverriders": rules(["add", "remove"], WORDS),
        "envOverriders": rules(["add", "remove", "replace"], ENV),
        "resourcesOverriders": rules([""], RESOURCES),
    },
)


@given(deployments(), OVERRIDERS)
def test_the_template_stays_as_it_is_and_the_same_comes_of_it_each_time(deployment: Json, overriders: Json) -> None:
    before = copy.deepcopy(deployment)
    first = apply_overriders(deployment, overriders)
    assert deployment == before
    assert apply_overriders(deployment, overriders) == first


@given(deployments())
def test_an_empty_overrider_changes_nothing(deployment: Json) -> None:
    empty: Json = {"commandOverriders": [], "envOverriders": [], "imageOverriders": [], "resourcesOverriders": []}
    assert apply_overriders(deployment, {}) == deployment == apply_overriders(deployment, empty)
    no_value = {"containerName": "main", "operator": "add"}
    rules = {key: [no_value] for key in ("commandOverriders", "argsOverriders", "envOverriders")}
    assert apply_overriders(deployment, rules) == deployment


@given(deployments(), OVERRIDERS)
def test_only_the_fields_of_the_rules_change_and_only_in_the_containers_that_they_name(
    deployment: Json, overriders: Json
) -> None:
    changed = apply_overriders(deployment, overriders)
    fields = {"commandOverriders": "command", "argsOverriders": "args", "envOverriders": "env"}
    fields["resourcesOverriders"] = "resources"
    for old, new in zip(_containers(deployment), _containers(changed), strict=True):
        named = {
            field
            for key, field in fields.items()
            if any(rule["containerName"] == old["name"] for rule in overriders.get(key, ()))
        }
        assert _without(old, named) == _without(new, named)
    for whole in (deployment, changed):
        _containers(whole).clear()
    if "replicas" in overriders:
        assert changed["spec"].pop("replicas") == overriders["replicas"]
        deployment["spec"].pop("replicas")
    assert changed == deployment


@given(deployments(), OVERRIDERS)
def test_rules_that_do_not_append_words_may_be_applied_twice(deployment: Json, overriders: Json) -> None:
    for key in ("commandOverriders", "argsOverriders"):
        overriders[key] = [rule for rule in overriders.get(key, ()) if rule["operator"] == "remove"]
    # what one rule adds and another removes is another matter: one rule each
    settled = {key: value[:1] if isinstance(value, list) else value for key, value in overriders.items()}
    once = apply_overriders(deployment, settled)
    assert apply_overriders(once, settled) == once


@given(IMAGES, COMPONENTS, VALUES)
def test_replacing_or_removing_a_component_twice_is_doing_it_once_and_leaves_the_others(
    image: str, component: str, value: str
) -> None:
    for operator in ("replace", "remove"):
        try:
            once = override_image(image, component, operator, value)
        except OverriderError:
            continue
        assert override_image(once, component, operator, value) == once
        old, new = Image.of(image)._asdict(), Image.of(once)._asdict()
        mine = {"tag", "digest"} if component == "Tag" else {component.lower()}
        assert {key: old[key] for key in old.keys() - mine} == {key: new[key] for key in new.keys() - mine}


@given(IMAGES)
def test_an_image_is_written_as_it_was_read(image: str) -> None:
    assert str(Image.of(image)) == image


@pytest.mark.parametrize(
    ("image", "rule", "expected"),
    [
        ("nginx:1.25", ("Registry", "add", "quay.io"), "quay.io/nginx:1.25"),
        ("a.example/nginx", ("Registry", "add", ":5000"), "a.example:5000/nginx"),
        ("quay.io/a/nginx:1", ("Registry", "remove", ""), "a/nginx:1"),
        ("quay.io/nginx:1", ("Repository", "replace", "mirror/nginx"), "quay.io/mirror/nginx:1"),
        ("nginx", ("Repository", "add", "-slim"), "nginx-slim"),
        ("nginx", ("Tag", "add", "v2"), "nginx:v2"),
        ("nginx:1", ("Tag", "replace", f"sha256:{'ab' * 32}"), f"nginx@sha256:{'ab' * 32}"),
        (f"nginx@sha256:{'ab' * 32}", ("Tag", "replace", "v2"), "nginx:v2"),
        ("nginx:1", ("Tag", "remove", ""), "nginx"),
    ],
)
def test_what_becomes_of_an_image(image: str, rule: tuple[str, str, str], expected: str) -> None:
    assert override_image(image, *rule) == expected


@pytest.mark.parametrize(
    ("image", "rule"),
    [
        ("nginx", ("Repository", "remove", "")),
        ("nginx", ("Tag", "replace", "not a tag")),
        ("nginx", ("Registry", "replace", "quay")),
        ("nginx", ("Registry", "replace", "https://quay.io")),
        ("UPPER", ("Tag", "replace", "v1")),
        ("nginx", ("Colour", "replace", "v1")),
        ("nginx", ("Tag", "twist", "v1")),
    ],
)
def test_what_would_be_no_image_is_refused_with_a_sentence(image: str, rule: tuple[str, str, str]) -> None:
    with pytest.raises(OverriderError) as caught:
        override_image(image, *rule)
    assert "\n" not in str(caught.value)


def test_all_images_are_changed_or_the_one_at_a_path() -> None:
    pod = {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:1"}]}
    deployment = {"spec": {"template": {"spec": pod}}}
    rule = {"component": "Tag", "operator": "replace", "value": "2"}
    assert _images(apply_overriders(deployment, {"imageOverriders": [rule]})) == ["x:2", "y:2"]
    second = rule | {"predicate": {"path": "/spec/template/spec/containers/1/image"}}
    assert _images(apply_overriders(deployment, {"imageOverriders": [second]})) == ["x:1", "y:2"]
    for path in (
        "/spec/template/spec/containers/7/image",
        "/spec/template",
        "spec/template/spec/containers/0/image",
        "/",
    ):
        with pytest.raises(OverriderError, match="there is no image at"):
            apply_overriders(deployment, {"imageOverriders": [rule | {"predicate": {"path": path}}]})


def test_variables_keep_their_places() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]
    pod = {"containers": [{"name": "main", "image": "x", "env": env}]}
    rule = {"containerName": "main", "operator": "replace", "value": [{"name": "C"}, {"name": "A", "value": "2"}]}
    changed = apply_overriders({"spec": {"template": {"spec": pod}}}, {"envOverriders": [rule]})
    assert _containers(changed)[0]["env"] == [{"name": "A", "value": "2"}, {"name": "B", "value": "1"}, {"name": "C"}]


def _containers(deployment: Json) -> list[Json]:
    return deployment["spec"]["template"]["spec"]["containers"]  # type: ignore[no-any-return]


def _images(deployment: Json) -> list[str]:
    return [container["image"] for container in _containers(deployment)]


def _without(container: Json, fields: set[str]) -> Json:
    return {key: value for key, value in container.items() if key not in fields}
