"""What can be seen of running actors: the tree with its figures, their health, the way of a message.

Belongs here: what looks at actors and changes nothing. Does not: events (events.py) and dead letters (deadletters.py), which actors make.
"""
