"""python -m kubeedge_actors.demo: a cloud and an edge on this machine, with a pod and a device, for who sees the project for the first time.

Belongs here: the steps of the demo, and the stage that it shares with tests and benchmarks (processes, free ports, the cable). Does not:
anything that a cloud or an edge needs.
"""
