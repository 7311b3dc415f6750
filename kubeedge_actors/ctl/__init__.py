"""What a person at an edge node asks of its pods: lists, descriptions, logs, commands in containers. Only a client of the control socket.

Belongs here: asking, and showing the answers as kubectl does. Does not: anything of the edge that is asked (it is reached through its socket only).
"""
