"""MQTT for one edge node: a broker that clients of the node connect to, ours or somebody else's.

Belongs here: the MQTT 3.1.1 language (`packets.py`, `filters.py`), what a broker has to remember (`outbox.py`,
`exchange.py`: both pure), the broker in this process (`embedded.py`), the client of a broker beside it (`external.py`),
the one in memory (`fake.py`). Does not: what a topic means (`actors/eventbus.py`, `wire/topics.py`).
"""
