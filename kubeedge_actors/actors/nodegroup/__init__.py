"""NodeGroup: groups of nodes, by name and by labels (KubeEdge: controllermanager/nodegroup).

Belongs here: which nodes are in a group, the label that says so, the group's status, ending pods of a group at a node that has left it. Does not:
what runs on a group (`actors/edgeapplication`), where a pod gets to (Scheduler, or the cluster's). `membership.py` is pure; `controller.py` carries out one
group at a time.
"""
