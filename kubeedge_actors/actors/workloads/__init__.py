"""Workloads: from Deployments and DaemonSets to pods, where there is no cluster that would do it (only with the embedded API).

Belongs here: replica sets of deployments, pods of replica sets and daemon sets, their counters, pods whose node is gone. Does not: which node
a pod gets (Scheduler), owners and what they own going together (the API's own collector), stateful sets and jobs (nobody makes them here).
`deployments.py`, `replicasets.py` and `daemonsets.py` are pure: objects in, a plan out; `controller_utils.py` knows the objects; `controller.py` carries
out one plan at a time.
"""
