"""Plain helpers for Kubernetes objects: times, quantities and what else every module would write for itself.

Belongs here: pure functions over values and JSON objects, in the words of apimachinery. Does not belong here: talking to an API
(`drivers/cluster/`), what a module decides (`actors/`), anything of KubeEdge's own wire (`wire/`). It imports nothing of this package but
`errors`.
"""
