"""Dead letters that survive the process, and the command that shows, replays and drops them.

Belongs here: the bridge from the mailboxes to the file of dead letters and back, and the names that stored messages had in the release before.
Does not: what a dead letter is (supervisors/deadletters.py), the file itself (drivers/store/dead_letters.py).
"""
