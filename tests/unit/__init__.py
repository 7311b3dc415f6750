"""One module of the product each, in this process; the folders are those of `kubeedge_actors`."""
