"""What all tests run with, also the examples in the docstrings of the product."""

pytest_plugins = [
    "pytester",
    "tests.support.plugins.doctests",
    "tests.support.plugins.ports",
    "tests.support.plugins.leaks",
    "tests.support.plugins.marks",
    "tests.support.plugins.progress",
    "tests.support.plugins.requirements",
]
