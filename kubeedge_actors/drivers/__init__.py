"""The outside world, behind narrow protocols: in each folder `base.py` says what is promised, beside it stand the real ones and a fake.

Belongs here: whatever talks to an engine, a socket, a file, a database or a library that does. Does not: decisions, and any word of
KubeEdge. Foreign types and errors stop at this border: what leaves is plain data and the errors of `errors.py`.
"""
