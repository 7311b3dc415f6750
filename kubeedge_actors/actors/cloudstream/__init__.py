"""CloudStream: the cloud's end of the tunnels through which byte streams (logs, exec) come from the nodes.

Belongs here: who may open a tunnel, which streams run through which, how much of each may wait, and a node's port in its status. Not here:
frames (`wire/tunnel.py`), sockets (`drivers/link`), who asks for a stream (the embedded API, or the server that a cluster's API asks).
"""
