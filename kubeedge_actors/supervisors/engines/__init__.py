"""Engines: what runs actors, on one thread, on a thread each, or in processes.

Here belongs whatever decides when and where an actor runs: threads, processes, a loop in a test. Nothing here decides
about restarts or messages; if a file needs to, that belongs one folder up. `base.py` says what every engine promises.
"""
