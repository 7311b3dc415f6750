"""The composition root: which drivers and modules an edge or a cloud is made of, and how they are wired.

Belongs here: what is chosen and put together by the settings, and what a process has around its supervision tree: data directory, ports,
control socket and metrics, the ready line. Does not: the order in which a side starts and stops (edge.py, cloud.py).
"""
