"""EdgeController: nodes, pods, config maps, secrets, leases and events between the Kubernetes API and one node each.

Belongs here: what changes of the API mean for a node, what a node may ask, and what it is answered. Does not: sessions
and acknowledgement (CloudHub), devices (DeviceController), what a node missed (SyncController). `actor.py` sorts
without ever waiting, `worker.py` makes the API calls with `upstream.py` and `legacy.py`; the other files are pure.
"""
