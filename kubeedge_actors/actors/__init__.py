"""KubeEdge's modules as actors, under KubeEdge's names: the only bridge between the islands.

Belongs here: what a module decides, and which typed messages it takes and gives. Does not: sockets, files, databases, engines
(`drivers/`, reached through the protocols in their `base.py`), how mailboxes work (`supervisors/`), how a frame looks (`wire/`).
No actor imports another; they meet in messages only. In a folder one file is the shell, named after the module or `hub.py`, `controller.py`,
`manager.py`; the other files are pure.
"""
