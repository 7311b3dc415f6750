"""The server that a cluster's API server takes for the kubelets of all edge nodes (KubeEdge's stream server, port 10003).

Belongs here: sockets, TLS, HTTP, copying bytes. Not here: who may ask for what, and where it is served (`actors/cloudstream`).
"""
