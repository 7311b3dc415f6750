"""What both hubs have in common: durable messages over the link, and limits of what one peer may cause."""
