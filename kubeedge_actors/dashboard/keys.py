"""The keys: what they are bound to, what is said of them below the list and on the help page."""

from __future__ import annotations

from kubeedge_actors.dashboard.views.tables import ACTORS, DEVICES, EVENTS, LETTERS, LINK, NODES, PODS, STORE, VIEWS

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
    ("space", "mark", "mark"), ("a", "mark_all", "mark all"), ("y", "copy", "copy"), ("Y", "copy_line", "copy the line"), ("escape", "escape", "back"),
    ("tab", "process(1)", "next process"), ("shift+tab", "process(-1)", "process before"),
    ("enter", "open", "open"), ("r", "restart", "restart"), ("u", "suspend_or_resume", "suspend, resume"), ("e", "errors", "errors"),
    ("t", "follow", "follow"), ("K", "crash", "crash"), ("d", f"view('{LETTERS}')", "dead letters"), ("b", "view('link')", "bytes"),
    ("l", "log", "log"), ("s", "shell", "shell"), ("p", "replay", "replay"), ("x", "drop", "drop"),
]  # fmt: skip
HINTS = {
    ACTORS: ("enter open", "r restart", "u suspend", "t follow", "e errors", "/ filter", "space mark", "[ ] time"),
    PODS: ("l log", "s shell", "r restart", "e events", "/ filter"),
    LETTERS: ("enter open", "space mark", "p replay", "x drop", "/ filter", "a mark all"),
}
"""Of a view, the most important first; the others have OTHERS."""
OTHERS = ("enter open", "/ filter", "< > sort")
_VIEW_KEYS = {
    ACTORS: """\
r           restart: a new instance, its mailbox stays
u           suspend (what is sent to it is a dead letter), or resume
t           follow the messages to it, and what they lead to (with the
            line of a supervisor: all); enter there: one message alone
e           its last errors       K  crash it (with --allow-faults)
left right  collapse, expand a supervisor: its line sums up its actors
[ ]  { }    5 s, a minute back and forth in the last 15 minutes
r, u and K are for the marked actors, or else for the chosen one

health      ok; what is not stands first: slow (far over its usual p99,
            or it holds others up), dropping, full, blocked (it waits
            for another), hung (it does not come back from a message),
            restarting (in back-off), down, suspended, missing
queue       messages that wait            oldest    for how long
msg/s       handled a second              p50, p99  handling time
trend       of msg/s, a bar for 5 s, all on one scale: its maximum is
            told below
restarts    since it was started          memory    of its own process
""",
    NODES: """\
link        to this cloud                 since     for how long
ready       as the cluster has it         backlog   messages that wait
                                                    for the node
up, down    bytes                         sessions  since the cloud began
kind        native: of this project; genuine: KubeEdge's edgecore
why         its last session ended
""",
    PODS: """\
l, enter    the log of the container, followed (of the pod's first)
s           a shell in it; exit comes back
r           stop the pod's containers and start them anew
e           the pod's events
in a log    f follow, w wrap, / search, n N, p the container before,
            t times, left right when lines are cut
""",
    DEVICES: """\
actual      what the device has reported, and when
expected    what is wanted of it, and since when; differs: not yet so
history     the last values of the property, from their lowest to their
            highest, which are told below
""",
    LETTERS: """\
space, a    mark a line, all that are shown (filter first: /)
p           replay: back into the mailbox it came from
x           drop: forget it; both for the marked ones, or the chosen one
            (the newest 1,000 are listed)
""",
    EVENTS: """\
What supervision has done since the dashboard was opened, the newest
first: Failed, Restarted, Hung, Slow, Suspended, Escalated, Overflowed
(a mailbox was full), DeadLettered (nobody took a message), ...
""",
    LINK: """\
link        its state; what waits for the cloud in all, and the oldest
waits       what the cloud has not acknowledged yet, by lane and kind
went        down: from the cloud, up: to it; since the process began
""",
    STORE: """\
size, WAL   of the file, of its write-ahead log
commits     since the process began, a second, how long they take
checkpoint  when the log was last worked into the file
""",
}
_EVERYWHERE = """\
1 to 8      actors, nodes (of a cloud), pods, devices, deadletters,
            events, link, store; or by name, :pods
j k g G     down, up, first, last; arrows, PgUp, PgDn, the mouse
enter       the line up close     esc  back         q, Ctrl-C  quit
/           filter: the letters of each word, in order, in a word of it
n N         the next line that matches what was typed, the one before
< >         sort by a column, or click on its heading;  i  the other way
space, a    mark a line, all that are shown
y  Y        copy the name, the whole line (OSC 52; tmux: set-clipboard on)
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
    hints = [*HINTS.get(view, OTHERS)]
    last = ["? help", "q quit"] if view == ACTORS else ["? help", "esc back"]
    while hints and len("  ".join([*hints, *last])) > width:
        hints.pop()
    return "  ".join([*hints, *last])


def views_text(view: str) -> list[tuple[str, bool]]:
    """The views by their keys; which of them is shown."""
    return [(f"{number} {name}", name == view) for number, name in enumerate(VIEWS, 1)]
