"""The shim of the process runtime: the program that is the parent of a container's process, and how the edge starts it and finds it again."""
