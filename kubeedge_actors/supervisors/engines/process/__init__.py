"""An actor in a process of its own, here or on another host.

Here belongs what stands between a supervised mailbox and an actor that lives elsewhere: its stand-in on this side, the
line, how messages are carried, the actor's surroundings on the far side, and the program that starts processes. Nothing
here decides about restarts: to its supervisor a stand-in is an actor like any other, and the far side knows none.
"""
