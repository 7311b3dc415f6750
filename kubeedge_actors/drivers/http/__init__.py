"""HTTP on loopback for one edge node: calls to services beside us, and a small server for programs beside us.

Belongs here: requests and answers as plain bytes. Does not: what a request means or who may make it
(`actors/servicebus.py`), the API server (`apiserver/`), the link (`drivers/link/`).
"""
