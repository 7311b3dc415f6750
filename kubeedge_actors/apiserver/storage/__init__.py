"""Objects, their versions and their recent history; one SQLite file under them.

Belongs here: rows, revisions, events, commits. Does not belong here: what an object means, HTTP, selectors' grammar.

Promises: one counter for all writes; an event is visible, and a write is answered, only after its transaction is on
disk; what was applied but could not be committed is undone; a reader that continues from revision N sees every later
event once and in order, or is told that N is too old.
"""
