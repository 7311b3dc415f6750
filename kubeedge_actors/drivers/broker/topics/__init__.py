"""Topics and filters as a tree by their levels: who has subscribed, and what is retained. Pure."""
