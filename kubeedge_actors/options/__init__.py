"""What a person may set, in one table: options, keys of a configuration file, the page of the commands and shell completion come from it.

Belongs here: the settings of `cloud` and `edge` (a line each), the parsers of all commands, completion, reading of configuration files.
Does not: what is done with a setting. Nothing here needs a library beyond Python's own before a file is read, so `--help` works without any.
"""
