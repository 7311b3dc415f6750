"""The cell of one actor (Pekko's ActorCell): what runs its incarnations one after the other, and survives them.

Belongs here: the states of an actor, its turns, the life of one instance, its context, its figures. Does not: the mailbox it takes from, who
decides about a restart (supervisor.py, strategy.py), where it runs (engines/).
"""
