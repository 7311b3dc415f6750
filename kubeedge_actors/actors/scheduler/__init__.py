"""Scheduler: which edge node runs a pod, where there is no cluster that would say so (only with the embedded API).

Belongs here: what a pod asks of a node, which node fits, and the words in which a pod hears that none does. Does not: making pods
(Workloads), running them (Edged), whether a node is alive (NodeLifecycle). `scheduler.py` is the shell; the other files are pure.
"""
