"""Real processes, real sockets, stock clients."""
