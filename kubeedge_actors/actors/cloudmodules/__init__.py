"""What the cloud does for modules of one's own: it tells them of objects and nodes, and calls the Kubernetes API for them.

Belongs here: who watches what, what a slow module has not heard of yet, calls on behalf of a module. Not here: the watches themselves and the
API client (`drivers/cluster`), what a module may say to whom (`module.py`).
"""
