"""MQTT for one edge node: a broker that clients of the node connect to, ours or somebody else's.

Belongs here: the MQTT 3.1.1 language (`packets.py`, `filters.py`); what a broker decides and remembers, all of it pure
(`exchange.py`, `session.py`, `outbox.py`, `retained.py`, `journal.py`, `acl.py`); its file (`ledger.py`), its sockets
(`door.py`, `connections.py`, `listener.py`, `tls.py`) and its thread (`embedded.py`); the client of a broker beside it
(`external.py`, `talk.py`); the one in memory (`fake.py`). Does not: what a topic means (`actors/eventbus.py`,
`wire/topics.py`).
"""
