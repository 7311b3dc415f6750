"""Controllers that the API needs for itself: garbage collector, namespaces, establishing of definitions, TTL of Events.

Belongs here: what a genuine cluster's API objects need even without other controllers. Does not belong here: controllers that give objects a
meaning (scheduling, deployments, nodes' health: `actors/`).
"""
