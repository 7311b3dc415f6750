"""The other side of what is tested: clients, servers and modules that do as they are told, or fail on purpose."""
