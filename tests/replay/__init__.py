"""The recorded conversations against whole processes: a fake edge for our cloud, a fake cloud for our edge.

What belongs here: tests that start one of the two commands and play the other side word for word, over real TLS.
What does not: replays against single modules (tests/actors).
"""
