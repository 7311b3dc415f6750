"""What the server does by itself: collect garbage, empty namespaces, establish definitions, forget what is old.

Belongs here: what a genuine cluster's API objects need even without controllers. Does not belong here: controllers that
give objects a meaning (scheduling, deployments, nodes' health).
"""
