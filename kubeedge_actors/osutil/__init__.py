"""What drivers and the embedded API server want of the operating system alike: files of their owner alone, SQLite files,
encrypted ones too, listening sockets, paths that do not lead out of a folder, the host addresses that only this machine reaches, text that a terminal
shows in one line.

Belongs here: a few lines that two islands would write each for itself. Does not belong here: what one of them alone needs,
the sentence in which a failure is told, any decision. It imports nothing of this package but `errors`.
"""
