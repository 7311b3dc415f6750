"""EdgeApplication: one application for several groups of nodes, each with its own replicas, images and settings (KubeEdge: controllermanager/edgeapplication).

Belongs here: which objects an EdgeApplication asks for, what its overriders change, keeping them so, its status. Does not: which nodes are in a
group (`actors/nodegroup`), what becomes of the Deployments (`actors/workloads`, or the cluster), objects that go with their owner (the API's collector).
`images.py`, `overriders.py`, `targets.py`, `manifests.py` and `records.py` are pure; `controller.py` carries out one application at a time.
"""
