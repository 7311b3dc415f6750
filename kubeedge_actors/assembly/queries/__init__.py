"""What a person may ask of an edge or a cloud beyond its actors: nodes, devices, what waits for the cloud.

Belongs here: answers of the control socket made of what the sides keep in memory and in their files; nobody's turn is waited for. Does not:
commands that do something, and pods (pod_commands.py).
"""
