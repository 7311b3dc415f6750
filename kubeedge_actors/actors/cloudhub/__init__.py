"""CloudHub: the cloud's end of the link. One session a node, with the queue of messages that the node has to acknowledge.

Belongs here: who may join, keepalive, delivery down until acknowledged, acknowledging what came up, order and
limits. `hub.py` is the shell; the other files take values and the time, and give values. Not here: what an object
is about or which node it concerns (the controllers), what a node has missed (SyncController), sockets and TLS
(`drivers/link`), certificates (`drivers/pki`).
"""
