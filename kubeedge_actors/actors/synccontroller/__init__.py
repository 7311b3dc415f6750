"""SyncController: finds and repeats what should have arrived at a node but did not.

Belongs here: which version of which object a node has (ObjectSync and ClusterObjectSync), which it should have, and
saying the difference again. Does not: the first push of a change (EdgeController, DeviceController), repetition within
a session (CloudHub). `controller.py` decides and never waits, `objectsync_writer.py` makes the API calls; the other files are pure.
"""
