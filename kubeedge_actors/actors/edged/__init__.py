"""Edged: turns the pods of this node into containers, and tells the cloud what became of them and of the node.

`edged.py` is the shell: mailbox, timers, which manager takes which message. `pod/` decides what has to happen to a pod, `runtime/` makes it
happen, `status/` reports it. Belongs here: what Kubernetes' kubelet decides. Does not: engines, files, sockets (`drivers/containers/`),
storing objects (MetaManager), the link (EdgeHub).
"""
