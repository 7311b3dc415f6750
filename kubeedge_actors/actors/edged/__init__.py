"""Edged: runs the pods of this node as containers, and reports their status and the node's.

`edged.py` is the shell: mailbox, timers, which manager takes which message. `pod/` decides what has to happen to a pod, `runtime/` makes it
happen, `status/` reports it. Belongs here: what Kubernetes' kubelet decides. Does not: engines, files, sockets (`drivers/containers/`),
storing objects (MetaManager), the link (EdgeHub).
"""
