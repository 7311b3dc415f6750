"""Fuzzing of everything that reads bytes from outside: the targets, what is held against each input, and a runner (`make fuzz`)."""
