"""Mailboxes that outlive the process, and what modules store: the journal of one actor system.

Belongs here: what is kept, when it is committed, and in which form. Does not: the file itself, which whoever makes the system hands in.
"""
