"""The pods of this node and what has to happen to each: kubelet's pod manager, pod workers and computePodActions.

Belongs here: which pods there are, their state, the sync loop, restarts, probes, static pods. Does not belong here: carrying an action out
(`../runtime/`), what is reported (`../status/`). Everything but `pod_worker.py` is pure: objects and the time in, values out.
"""
