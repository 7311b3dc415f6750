"""Drivers: the outside world behind narrow protocols. In each folder `base.py` is the protocol; beside it are the real implementations and a fake.

Belongs here: whatever talks to an engine, a socket, a file, a database or a library that does. Does not: decisions, and any word of
KubeEdge. Foreign types and errors stop at this border: what leaves is plain data and the errors of `errors.py`.
"""
