"""Logs of containers as they are read: from the files that a shim keeps, with when each line was written, and in a way that another thread can end."""
