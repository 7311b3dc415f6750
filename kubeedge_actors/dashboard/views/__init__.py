"""The views: each turns an answer of the control socket into lines. Pure."""
