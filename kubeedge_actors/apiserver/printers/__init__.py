"""Printers: the columns and cells that `kubectl get` prints, by kind (Kubernetes' pkg/printers).

Belongs here: pure functions from an object to cells. Does not belong here: which rows there are, HTTP.
"""
