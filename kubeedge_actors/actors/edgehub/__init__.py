"""EdgeHub: the edge's end of the link. Connects and reconnects, hands down what the cloud says, sends up what the node says.

Belongs here: when to connect, the heart-beat, who goes first on the link, what waits for the cloud and until when. `hub.py` is the
shell; the other files are pure. Not here: sockets and TLS (`drivers/link`), certificates (`drivers/pki`), what a message means to
anyone (`metamanager`, `devicetwin`, ...).
"""

from kubeedge_actors.actors.edgehub.hub import EdgeHub as EdgeHub
