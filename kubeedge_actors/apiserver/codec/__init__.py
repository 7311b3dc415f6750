"""From bytes to objects and back: decoding, pruning, content negotiation, the fields of the built-in types.

Belongs here: JSON and protobuf bodies, typed fields (`types.json`, `messages.json`), the form that a client asked for. Does not belong here:
defaults and validation (`../strategies/`), columns of tables (`../printers/`), patches (`../patch/`).
"""
