"""Several modules together, over real sockets or in processes of their own."""
