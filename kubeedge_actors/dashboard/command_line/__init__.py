"""What the command does beside the screen: find what runs, print it."""
