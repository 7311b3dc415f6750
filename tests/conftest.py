"""Fixtures that several areas share."""

import tests.support.hypothesis_profile  # noqa: F401
from tests.docker_engine import docker_engine as docker_engine
