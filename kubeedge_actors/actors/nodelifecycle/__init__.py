"""NodeLifecycle: whether a node is alive, where there is no cluster that would say so (only with the embedded API).

Belongs here: when a silent node counts as lost and what its object, its pods and the events then say. Does not: moving its pods
elsewhere (they go on running, that is the point of an edge), sessions (CloudHub), saying that a node is well again (its own word).
`controller.py` is the shell; the other files are pure.
"""
