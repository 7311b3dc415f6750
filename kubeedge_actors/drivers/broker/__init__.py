"""MQTT for one edge node: a broker that clients of the node connect to, ours or somebody else's.

Belongs here: the MQTT 3.1.1 language (`packets.py`, `topics/`); what a broker decides and remembers, all of it pure
(`core.py`, `session.py`, `outgoing.py`, `subscriptions.py`, `backpressure.py`, `unit_of_work.py`, `acl.py`); its file (`persistence.py`), its sockets
(`admission.py`, `connect.py`, `connections.py`, `tls.py`) and its thread (`embedded.py`); the client of a broker beside it
(`external.py`, `packet_stream.py`); the one in memory (`fake.py`). Does not: what a topic means (`actors/eventbus.py`,
`wire/topics.py`).
"""
