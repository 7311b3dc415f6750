"""The terminal dashboard of a running cloud or edge: a process of its own, and only a client of the control socket.

Belongs here: asking, counting, drawing. Does not: anything of the process that is watched (it is reached through its socket only).
"""
