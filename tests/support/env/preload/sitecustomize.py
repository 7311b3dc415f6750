"""Python imports this when it starts the fork server that the tests on `hosts` share (`workshop`).

Each process that it forks finds there what it would import by itself, in ten times the time that a test takes otherwise.
"""

import tests.support.env.supervisors  # noqa: F401
