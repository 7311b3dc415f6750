"""What a job may say, and that nothing else comes through: neither as an image, nor in any other field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.taskmanager.job_spec import IMAGE, InvalidJob, read_spec
from kubeedge_actors.wire import constants
from tests.support.env.taskmanager import PULL, pull_spec

UPGRADE, CONFIG = constants.NODEUPGRADEJOB, constants.CONFIGUPDATEJOB
IMAGES = (
    "busybox",
    "busybox:1.36",
    "library/busybox:latest",
    "127.0.0.1:5000/a/b-c_d.e:v1",
    "registry.example.com/team/app@sha256:" + "0" * 64,
    "Registry.example.com:443/app:V1",
)
INJECTIONS = (
    "busybox; reboot",
    "busybox && reboot",
    "$(reboot)",
    "`reboot`",
    "busybox|reboot",
    "busybox\nreboot",
    "-v",
    "--privileged",
    "../../etc/passwd",
    "a//b",
    "busybox:1 2",
    "busybox:" + "a" * 200,
    "a" * 600,
    "busybox@sha256:zz",
    "busybox\x00",
    "",
)


@pytest.mark.parametrize("image", IMAGES)
def test_names_of_images_are_taken(image: str) -> None:
    assert read_spec(PULL, pull_spec("a", images=[image])).images == (image,)


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_is_something_else_is_refused_in_each_field(text: str) -> None:
    with pytest.raises(InvalidJob):
        read_spec(PULL, pull_spec("a", images=[text]))
    with pytest.raises(InvalidJob):
        read_spec(UPGRADE, {"version": text, "nodeNames": ["a"]})
    with pytest.raises(InvalidJob):
        read_spec(CONFIG, {"updateFields": {text: "x"}, "nodeNames": ["a"]})
    if text:
        with pytest.raises(InvalidJob):
            read_spec(UPGRADE, {"version": "v1.22.0", "image": text, "nodeNames": ["a"]})
        with pytest.raises(InvalidJob):
            read_spec(PULL, pull_spec("a", imageSecrets=text))
        with pytest.raises(InvalidJob):
            read_spec(PULL, pull_spec("a", checkItems=[text]))
        with pytest.raises(InvalidJob):
            read_spec(PULL, pull_spec(text))


@pytest.mark.parametrize(
    "template",
    [
        {"images": []},
        {"images": "busybox"},
        {"images": ["a"] * 201},
        {"images": [7]},
        {"concurrency": -1},
        {"concurrency": True},
        {"timeoutSeconds": "10"},
        {"retryTimes": 101},
        {"failureTolerate": "1.5"},
        {"failureTolerate": "nan"},
        {"failureTolerate": "-0.1"},
        {"imageSecrets": "secret"},
        {"imageSecrets": "a/b/c"},
        {"labelSelector": {}},
        {"nodeNames": []},
    ],
)
def test_what_makes_no_sense_is_refused(template: dict[str, Any]) -> None:
    with pytest.raises(InvalidJob):
        read_spec(PULL, pull_spec("a", **template))


def test_what_is_not_said_is_as_the_definition_says() -> None:
    spec = read_spec(PULL, pull_spec("a"))
    assert (spec.concurrency, spec.timeout, spec.tolerated, spec.retries) == (1, 300.0, 0.0, 0)
    assert read_spec(PULL, pull_spec("a", timeoutSeconds=0, concurrency=0)) == spec
    assert read_spec(UPGRADE, {"version": "v1.22.0-beta.1", "nodeNames": ["a"], "requireConfirmation": True})
    assert read_spec(CONFIG, {"updateFields": {"modules.edged.labels[0]": "$(x)"}, "labelSelector": {}})


@given(st.from_regex(IMAGE, fullmatch=True))
def test_a_name_has_nothing_in_it_that_a_shell_or_an_option_begins_with(image: str) -> None:
    assert not image.startswith("-") and not set(image) & set(" \t\n;&|$`<>()'\"\\*?[]{}!#~=,%^+")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_spec_is_anything_but_read_or_refused(spec: Any) -> None:
    for type in (PULL, UPGRADE, CONFIG):
        for each in (
            spec,
            {"imagePrePullTemplate": spec, "updateFields": spec, "nodeNames": spec, "labelSelector": spec},
        ):
            try:
                read_spec(type, each)
            except InvalidJob as error:
                assert str(error)
