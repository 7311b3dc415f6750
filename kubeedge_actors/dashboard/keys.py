"""The keys: what they are bound to, what is said of them below the list and on the help page."""

from __future__ import annotations

from kubeedge_actors.dashboard.views.tables import ACTORS, LETTERS, PODS, VIEWS

MINUTE = 12
"""Steps of the history in a minute."""
FAR = 1_000_000
BINDINGS = [
    *((str(number), f"view('{name}')", name) for number, name in enumerate(VIEWS, 1)),
    ("q,ctrl+c,ctrl+q", "quit", "quit"), ("question_mark", "help", "help"),
    ("down,j", "move(1)", "down"), ("up,k", "move(-1)", "up"),
    ("pagedown,ctrl+f", "page(1)", "page down"), ("pageup,ctrl+b", "page(-1)", "page up"),
    ("home,g", f"move(-{FAR})", "first"), ("end,G", f"move({FAR})", "last"),
    ("n", "find(1)", "next"), ("N", "find(-1)", "previous"),
    ("less_than_sign", "order(-1)", "order"), ("greater_than_sign", "order(1)", "order"), ("i", "invert", "other way round"),
    ("left,h", "fold(True)", "collapse"), ("right", "fold(False)", "expand"),
    ("left_square_bracket", "go_back(1)", "earlier"), ("right_square_bracket", "go_back(-1)", "later"),
    ("left_curly_bracket", f"go_back({MINUTE})", "a minute earlier"), ("right_curly_bracket", f"go_back(-{MINUTE})", "a minute later"),
    ("space", "mark", "mark"), ("a", "mark_all", "mark all"), ("y", "copy", "copy"), ("escape", "escape", "back"),
    ("tab", "process(1)", "next process"), ("shift+tab", "process(-1)", "process before"),
    ("enter", "open", "open"), ("r", "restart", "restart"), ("u", "suspend_or_resume", "suspend, resume"), ("e", "errors", "errors"),
    ("t", "follow", "follow"), ("K", "crash", "crash"), ("d", f"view('{LETTERS}')", "dead letters"), ("b", "view('link')", "bytes"),
    ("l", "log", "log"), ("s", "shell", "shell"), ("p", "replay", "replay"), ("x", "drop", "drop"),
]  # fmt: skip
HINTS = {
    ACTORS: ("enter open", "r restart", "u suspend", "t follow", "e errors"),
    PODS: ("l log", "s shell", "r restart"),
    LETTERS: ("enter open", "space mark", "p replay", "x drop"),
}
"""Of a view, the most important first; the others have Enter only."""
_VIEW_KEYS = {
    ACTORS: """\
r           restart: a new instance, its mailbox stays
u           suspend (what is sent to it is a dead letter), or resume
t           follow the messages to it, and what they lead to (with the
            line of a supervisor: all); enter there: one message alone
e           its last errors       K  crash it (with --allow-faults)
left right  collapse, expand a supervisor: its line sums up its actors
[ ]  { }    5 s, a minute back and forth in the last 15 minutes

health      ok; what is not stands first: slow (over its usual p99, or
            it holds others up), dropping, full, blocked (it waits for
            another), hung (it does not come back from a message),
            restarting (in back-off), down, suspended, missing
queue       messages that wait            msg/s     handled a second
trend       of msg/s in 40 s, one scale: its maximum is told below
p50, p99    handling time                 restarts  of late
""",
    PODS: """\
l, enter    the log of the container, followed (of the pod's first)
s           a shell in it; exit comes back
r           stop the pod's containers and start them anew
""",
    LETTERS: """\
space, a    mark a line, all that are shown (filter first: /)
p           replay: back into the mailbox it came from
x           drop: forget it; both for the marked ones, or the chosen one
""",
}
_EVERYWHERE = """\
1 to 8      actors, nodes (of a cloud), pods, devices, deadletters,
            events, link, store; or by name, :pods
j k g G     down, up, first, last; arrows, PgUp, PgDn, the mouse
enter       the line up close     esc  back         q, Ctrl-C  quit
/           filter: letters in this order in any cell
n N         the next line, the one before that matches
< >         sort by a column, or click on its heading;  i  the other way
y           copy the name (OSC 52)
tab         the next process, when several are watched
"""


def help_text(view: str) -> str:
    """What the keys and columns of a view mean, then the keys that all have."""
    return "\n".join(filter(None, (_VIEW_KEYS.get(view, ""), _EVERYWHERE)))


def hints_text(view: str, width: int) -> str:
    """As many keys as there is room for, help and the way out always among them.

    >>> hints_text("pods", 44), hints_text("pods", 10)
    ('l log  s shell  r restart  ? help  esc back', '? help  esc back')
    """
    hints = [*HINTS.get(view, ("enter open",))]
    last = ["? help", "q quit"] if view == ACTORS else ["? help", "esc back"]
    while hints and len("  ".join([*hints, *last])) > width:
        hints.pop()
    return "  ".join([*hints, *last])


def views_text(view: str) -> list[tuple[str, bool]]:
    """The views by their keys; which of them is shown."""
    return [(f"{number} {name}", name == view) for number, name in enumerate(VIEWS, 1)]
