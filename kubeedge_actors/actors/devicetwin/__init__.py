"""DeviceTwin: the software mirror of this node's devices.

Belongs here: what an update, a query, a cloud sync, a desired value or a change of membership does to the twins, and
what is then said to whom. Does not: topics as clients see them (`actors/eventbus.py`), how a report reaches the cloud
(`actors/edgehub/`), SQL (`drivers/store/`). `device_twin.py` is the shell: it holds the devices, commits, then speaks. All
other files are pure: values in, values out.
"""

from kubeedge_actors.actors.devicetwin.device_twin import DeviceTwin as DeviceTwin
