"""The composition root: which drivers and modules an edge or a cloud is made of, and how they are wired."""
