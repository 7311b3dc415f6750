"""Node tasks: what a job of `operations.kubeedge.io` wants done at nodes (KubeEdge: taskmanager on both sides, controllermanager/nodetask).

Belongs here: which nodes a job means, how many of them are at work at once, what becomes of each; and at the node the order of the steps, and how far
each task has come. Does not: how an image is fetched (the container driver). In the cloud `task_manager.py` is the actor, over the pure
`job_status.py` and `node_selection.py`; at the node `edge_task_manager.py` is, over the pure `task_run.py`, with `task_worker.py` for what blocks. Both
read a spec by `job_spec.py`, and know the actions of a job by `action_flow.py`.

No part of a task goes through a shell, or becomes an argument of a command: there is no command.
"""
