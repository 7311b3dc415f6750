"""Containers of one machine: what an engine can do (`base.py`), Docker, plain processes, a fake; and what the machine
is (`drivers/machine/linux.py`).

Belongs here: making, starting, ending, listing and watching containers, their logs, and reading facts of the machine.
Does not: which container ought to run, when to try again, how a pod's status looks. Pods are known here only as names
that containers carry.
"""
