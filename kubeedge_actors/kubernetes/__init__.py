"""What any client of Kubernetes needs to know of its objects: times, quantities, taints, events, owners. Pure.

Here belongs what the API conventions of Kubernetes define and more than one part of this project reads or writes. Nothing
here does I/O, keeps state, or knows KubeEdge; if a file needs to, it belongs to the module that does.
"""
