"""EdgeHub: the edge's end of the link. Connects and reconnects, publishes the cloud's messages, sends the node's.

Belongs here: when to connect, the heart-beat, who goes first on the link, what waits for the cloud and until when. `hub.py` is the
shell; the other files are pure. Not here: sockets and TLS (`drivers/link`), certificates (`drivers/pki`), what a message means to
anyone (`metamanager`, `devicetwin`, ...).
"""

from kubeedge_actors.actors.edgehub.hub import EdgeHub as EdgeHub
