"""KubeEdge's device management interface: gRPC on unix sockets between an edge node and the mappers of its devices.

Belongs here: sockets, protobuf, the names and numbers of the interface's own messages. Does not: which device is whose
and when a mapper is told of it (`actors/dmi/`). The library (extra `dmi`) is imported only when the interface is on.
"""
