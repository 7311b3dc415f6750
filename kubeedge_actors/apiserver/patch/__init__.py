"""The four ways to patch an object (JSON patch, merge patch, strategic merge patch, server-side apply), as pure functions.

Belongs here: from an object and a patch to the next object, and who manages which field. Does not belong here: storing, validation, defaults.
"""
