"""Protobuf request bodies, which kubectl sends for its imperative commands: a table of messages and a decoder.

Belongs here: from bytes to the same object as JSON. Does not belong here: protobuf answers; no client needs them.
"""
