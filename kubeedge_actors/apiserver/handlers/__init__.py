"""What each verb does: one file per endpoint handler (apiserver endpoints/handlers), and the subresources that are more than data.

Belongs here: from a request to stored objects and a response. Does not belong here: HTTP itself (`../asgi.py`), which handler a request gets
(`../routes.py`), what is special about a kind (`../strategies/`), how an object becomes bytes (`../codec/`).
"""
