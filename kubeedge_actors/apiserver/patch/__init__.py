"""The four ways to patch an object, as pure functions.

Belongs here: from an object and a patch to the next object. Does not belong here: storing, validation, defaults.
"""
