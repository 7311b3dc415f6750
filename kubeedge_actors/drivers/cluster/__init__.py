"""The Kubernetes API as a driver: objects are plain JSON, changes arrive as calls.

Belongs here: requests, watches and their repair, credentials, translation of failures. Does not: what to do with an
object, and any kind that Kubernetes does not ship (a controller brings its own `Kind`). `base.py` is the protocol with
its promises, `kubernetes.py` the real client over `transport.py`, `fake/cluster.py` an API in memory; one contract suite runs
on both.
"""
