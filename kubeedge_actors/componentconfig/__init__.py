"""KubeEdge's own configuration files, read into settings of ours: edgecore.yaml and cloudcore.yaml.

Belongs here: which of KubeEdge's keys there are, what they mean to us, and what to say about the others. Does not belong here: our own
settings and files (config.py), and what is done with a setting (edge.py, cloud.py).
Source of the keys: KubeEdge componentconfig, edgecore v1alpha1 and v1alpha2, cloudcore v1alpha1 and v1alpha2.
"""
