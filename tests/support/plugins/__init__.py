"""Plug-ins of pytest: leaks, marks, ports, progress, requirements, Hypothesis. They know nothing of the product."""
