"""Leadership: which of several cloud replicas does what must be done once.

Belongs here: standing for election by a Lease, saying who won, starting and stopping the modules that only the leader runs. Does not: what
those modules do. `lease_observer.py` is the pure rule (client-go's), `lease_lock.py` waits for the API, `leader_elector.py` keeps the deadlines, `leader_modules.py`
starts and stops.

Done once, by the leader: SyncController's sweep of nodes that nobody knows, NodeGroups and EdgeApplications; with our own API also Scheduler, NodeLifecycle and
Workloads.
Done by every replica for the nodes that are connected to it: everything else. Namespace and definitions are made by whoever comes first:
making them twice is answered with AlreadyExists.
"""
