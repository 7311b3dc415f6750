"""What all tests run with, also the examples in the docstrings of the product."""

pytest_plugins = [
    "pytester",
    "tests.support.ports",
    "tests.support.leaks",
    "tests.support.marks",
    "tests.support.progress",
    "tests.support.requirements",
]
