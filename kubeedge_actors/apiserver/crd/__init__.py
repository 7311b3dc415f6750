"""CustomResourceDefinitions: those that ship with the program (`definitions.json`), those that users add, their structural schemas.

Belongs here: from a CustomResourceDefinition to a served resource. Does not belong here: a program that acts on custom resources; nothing
outside the data file knows which kinds there are.
"""
