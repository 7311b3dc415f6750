"""Workloads: from Deployments, DaemonSets and StatefulSets to pods, where there is no cluster that would do it (only with the embedded API).

Belongs here: replica sets of deployments, pods of replica sets, daemon sets and stateful sets, their counters, pods whose node is gone. Does not: which node
a pod gets (Scheduler), owners and what they own going together (the API's own collector), jobs (nobody makes them here).
`deployments.py`, `replicasets.py`, `daemonsets.py`, `statefulsets.py` and `revisions.py` are pure: objects in, a plan out; `controller_utils.py` knows the objects; `controller.py` carries
out one plan at a time.
"""
