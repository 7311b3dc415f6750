"""KubeEdge's protocol as both sides speak it: envelope, typed messages, resource paths, topics, constants.

Belongs here: what is the same on both ends of the link, as values and pure functions. Does not belong here: threads,
sockets, clocks, files, databases, decisions about what to do with a message (actors/), error texts that only a person
reads. How to decide: if KubeEdge's own programs would notice a change of it, it is here; if only our process would, it
is not.
"""
