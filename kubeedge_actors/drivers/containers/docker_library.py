"""The one file that imports the library of Docker and those that it stands on."""

from __future__ import annotations

import docker
import docker.errors
import docker.types
import requests
import requests.exceptions
import urllib3
import urllib3.exceptions

__all__ = ["docker", "requests", "urllib3"]
