"""The dashboard and the control socket it is a client of."""
