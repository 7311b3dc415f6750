"""Server-side apply: as recorded from the genuine server, in its order."""

from __future__ import annotations

from tests.support.api_client import ApiClient
from tests.support.api_recordings import assert_as_recorded, cases, replay


def test_applies_follow_each_other_as_recorded(api: ApiClient) -> None:
    before = ""
    for name, case in cases("server-side-apply").items():
        answer = replay(api, case)
        assert_as_recorded(answer, case)
        if name == "ssa-noop":
            assert answer.json["metadata"]["resourceVersion"] == before
        before = answer.json.get("metadata", {}).get("resourceVersion", before)
