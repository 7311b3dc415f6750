"""Python imports this when it starts a fork server of tests that fork many processes (`preloading`).

Each of them finds there what it would import by itself, in ten times the time that a test takes otherwise.
"""

import hypothesis  # noqa: F401

import tests.support.env.supervisors  # noqa: F401
