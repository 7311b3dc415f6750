"""The control socket of a running cloud or edge: JSON lines in, JSON lines out, for its owner only; and the command that speaks to it.

Belongs here: what a person, a dashboard or Prometheus may ask of a running process. Does not: drawing (dashboard/), supervision itself (supervisors/).
"""

from kubeedge_actors.control.commands import InjectedCrash
from kubeedge_actors.control.server import SOCKET, ControlSocket

__all__ = ["SOCKET", "ControlSocket", "InjectedCrash"]
