"""EdgeStream: the edge's end of the tunnel through which the cloud reads logs and runs commands in containers.

Belongs here: keeping a tunnel while the cloud can be reached, what is asked for in it, and how fast it is answered. Not here: frames
(`wire/tunnel.py`), sockets (`drivers/link`), containers (`drivers/containers`). What an idle node does not need is imported with the first
stream.
"""
