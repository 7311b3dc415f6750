"""An actor in a process of its own, here or on another host.

Here belongs what stands between a supervised mailbox and an actor in a worker process: its proxy on this side, the channel,
serialization, the actor's context in the worker, and the program that starts processes. Nothing here decides about restarts: to its
supervisor a proxy is an actor like any other, and the worker knows no supervisor.
"""
