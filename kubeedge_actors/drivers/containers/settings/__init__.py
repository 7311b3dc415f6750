"""What a container's description asks for besides a command: privileges, names, profiles; and what no description may ask for."""

from __future__ import annotations
