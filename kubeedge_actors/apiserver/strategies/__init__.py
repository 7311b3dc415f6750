"""What the API knows of the single kinds: defaults, validation, what a creation and an update may say.

Belongs here: pure functions over one object. Does not belong here: storing, HTTP, other objects, controllers.
"""
