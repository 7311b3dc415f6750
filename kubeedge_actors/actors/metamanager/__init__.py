"""MetaManager: what the cloud said, kept in the database of the node; it answers when the cloud is away.

Belongs here: which messages are stored, forwarded, told and acknowledged, and what is answered from the store. `manager.py` is the
shell; the other files are pure. Not here: the tables (`drivers/store`), running pods (`edged`), devices (`devicetwin`).
"""

from kubeedge_actors.actors.metamanager.manager import MetaManager as MetaManager
