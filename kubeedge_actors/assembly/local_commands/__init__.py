"""What a person at the node asks through the control socket, answered by the parts of the edge that know it."""
