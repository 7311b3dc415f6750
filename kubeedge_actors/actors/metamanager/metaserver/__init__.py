"""MetaServer: the read API of a node, Kubernetes' own, for programs on it; it works without a cloud.

Belongs here: which path means which objects of the store, and the forms of the answers. Not here: HTTP (`drivers/http`), what is
stored and when (`metamanager`), writing: objects are changed in the cloud. Imported only when MetaServer is switched on.
"""
