"""Carries out the actions of pods against the container runtime: kubelet's runtime, volume and image managers.

Belongs here: what a container is given (spec, environment, volumes, images), worker threads, waiting for an engine. Does not belong here:
which action is due (`../pod/`), engines themselves (`drivers/containers/`).
"""
