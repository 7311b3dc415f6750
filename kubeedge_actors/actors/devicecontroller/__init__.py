"""DeviceController: Device and DeviceModel objects down to their nodes, reported twins and states up into DeviceStatus.

Belongs here: which node has to know which device, and how reports become status. Does not: twins as the edge keeps
them (DeviceTwin), what a node missed while it was away (SyncController), the mappers. `controller.py` decides and never
waits, `upstream.py` makes the API calls; the other files are pure.
"""
