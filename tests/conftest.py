"""Fixtures that several areas share."""

import tests.support.plugins.hypothesis_profile  # noqa: F401
from tests.support.docker_engine import docker_engine as docker_engine
from tests.support.docker_engine import relay as relay
