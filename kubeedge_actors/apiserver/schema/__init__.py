"""The fields of the built-in types: data, and the decoder that checks and prunes by it.

Belongs here: what a type's fields are called, which type they have, which lists merge by key. Does not belong here:
defaults, validation of values (`kinds/`), schemas of custom resources (`structural`).
"""
