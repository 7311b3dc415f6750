"""SPDY/3.1 as kubectl up to 1.30 and Kubernetes' own servers speak it: frames and their compressed headers. Pure.

Belongs here: bytes to frames and back. Not here: what the streams are for (`remote_channels.py`, `portforward.py`).
"""
