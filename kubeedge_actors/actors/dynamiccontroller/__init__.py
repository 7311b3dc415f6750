"""DynamicController: calls of the Kubernetes API that programs of a node make by its MetaServer, and the watches among them.

Belongs here: what an Application becomes at the API, in whose name, what is pushed to a node that watches. Not here: the form on the wire
(`wire/application`), HTTP (`drivers/cluster`), what the edge keeps of it (`metamanager`). Its words are KubeEdge's, of cloud/pkg/dynamiccontroller.
"""
