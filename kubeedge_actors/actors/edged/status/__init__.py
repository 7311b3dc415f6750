"""What the cluster is told of this node and its pods: kubelet's status manager, node status, lease and Events.

Belongs here: v1.PodStatus, v1.NodeStatus, Events, the requests that carry them and their retry. Does not belong here: sending frames
(EdgeHub), what has to happen to a pod (`../pod/`). Pure: responses and the time in, messages out.
"""
