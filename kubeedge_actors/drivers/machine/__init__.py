"""The machine itself: volumes of pods, static pods, probes, what it is made of. Nothing here knows a container runtime."""
