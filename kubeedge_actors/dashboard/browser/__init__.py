"""The same screen in a browser: a server on loopback that gives each tab a dashboard of its own, on a terminal of its own.

Belongs here: who may ask, the page, the terminal behind it. Does not: what is on the screen (it is the ordinary dashboard, as a child).
"""
