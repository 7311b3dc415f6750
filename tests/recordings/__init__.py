"""Recorded conversations with the genuine programs (`tests/golden`), led again.

`test_<module>.py` replays them against one module; `test_cloud_process.py` and `test_edge_process.py` against whole processes over TLS,
with a fake edge or a fake cloud on the other side.
"""
