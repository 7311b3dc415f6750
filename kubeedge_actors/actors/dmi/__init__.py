"""Dmi: devices that are served by mappers. It tells mappers what the cloud wants and passes on what they report.

Belongs here: which mapper has to know of which device or model, and when. Does not: gRPC (`drivers/dmi/`), what a report
does to a twin (`actors/devicetwin/`). `dmi.py` is the shell; `device_cache.py` and `call_queue.py` are pure.
"""

from kubeedge_actors.actors.dmi.dmi import Dmi as Dmi
