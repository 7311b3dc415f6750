"""Dmi: devices that are served by mappers. It tells mappers what the cloud wants and passes on what they report.

Belongs here: which mapper has to know of which device or model, and when. Does not: gRPC (`drivers/dmi/`), what a report
does to a twin (`actors/devicetwin/`). `actor.py` is the shell; `inventory.py` and `lines.py` are pure.
"""

from kubeedge_actors.actors.dmi.actor import Dmi as Dmi
