"""TODO: what belongs here, and what does not."""
