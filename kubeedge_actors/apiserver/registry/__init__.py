"""Which resources are served, and what is the same for all of them: discovery, OpenAPI, selectors, object metadata.

Belongs here: the table of built-in resources, look-up by path and kind, what the server fills in whatever the kind. Does not belong here:
what differs from kind to kind (`../strategies/`), CustomResourceDefinitions (`../crd/`), storing (`../storage/`).
"""
