"""EdgeController: nodes, pods, config maps, secrets, leases and events between the Kubernetes API and one node each.

Belongs here: what changes of the API mean for a node, what a node may ask, and what it is answered. Does not: sessions
and acknowledgement (CloudHub), devices (DeviceController), what a node missed (SyncController). `controller.py` sorts
without ever waiting, `upstream_worker.py` makes the API calls with `upstream.py` and `pre_1_13_status.py`; the other files are pure.
"""
