"""The table of settings, and what comes of it."""
