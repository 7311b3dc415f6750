"""Edged: turns the pods of this node into containers, and tells the cloud what became of them and of the node.

`edged.py` is the shell: mailbox, worker threads, who is told what. All else is pure: values in, values out, `now`
included. Belongs here: what Kubernetes' kubelet decides. Does not: engines, files, sockets (`drivers/containers/`),
storing objects (MetaManager), the link (EdgeHub).
"""
