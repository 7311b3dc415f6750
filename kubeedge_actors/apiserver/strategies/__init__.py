"""What differs from kind to kind (Kubernetes' registry strategies): prepare for create, defaults, validation, validation of updates.

Belongs here: pure functions over one object. Does not belong here: storing, HTTP, other objects, controllers.
"""
