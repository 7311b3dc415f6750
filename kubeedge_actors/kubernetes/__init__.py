"""Plain helpers for Kubernetes objects: times, quantities and what else every module would write for itself; and the one
table of object types.

Belongs here: pure functions over values and JSON objects, in the words of apimachinery; which types of objects there are
between cloud and edge, and how they are treated. Does not belong here: talking to an API (`drivers/cluster/`), what a module
decides (`actors/`), how anything is written on KubeEdge's wire (`wire/`). It imports nothing of this package but `errors`.
"""
