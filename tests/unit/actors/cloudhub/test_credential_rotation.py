"""What ends by itself is made anew in time."""

from __future__ import annotations

import pytest

from kubeedge_actors.actors.cloudhub.credential_rotation import CredentialRotator
from kubeedge_actors.errors import CertificateError, Unreachable
from kubeedge_actors.testing import inline


class Tasks:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.fault: Exception | None = None

    def token(self) -> None:
        self.done.append("token")
        if self.fault is not None:
            raise self.fault

    def certificate(self) -> None:
        self.done.append("certificate")


def test_token_and_certificate_are_looked_at_every_hour() -> None:
    tasks = Tasks()
    with inline(CredentialRotator.spec(lambda: CredentialRotator(tasks.token, tasks.certificate))) as harness:
        harness.advance(3599.0)
        assert tasks.done == []
        harness.advance(1.0)
        assert tasks.done == ["token", "certificate"]
        harness.advance(3600.0)
        assert tasks.done == ["token", "certificate"] * 2


@pytest.mark.parametrize("fault", [Unreachable("away"), CertificateError("damaged")])
def test_one_that_fails_keeps_the_other_from_nothing_and_is_tried_again_soon(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = Tasks()
    tasks.fault = fault
    with inline(CredentialRotator.spec(lambda: CredentialRotator(tasks.token, tasks.certificate))) as harness:
        harness.advance(3600.0)
        assert tasks.done == ["token", "certificate"]
        assert str(fault) in caplog.text
        harness.advance(60.0)
        assert tasks.done == ["token", "certificate"] * 2
        tasks.fault = None
        harness.advance(60.0)
        harness.advance(60.0)
        assert len(tasks.done) == 6  # good again: the next look is an hour later
        assert harness.crashes == []
