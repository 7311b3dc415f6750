"""Plug-ins of pytest: doctests, leaks, marks, ports, progress, requirements, Hypothesis. They know nothing of the product."""
