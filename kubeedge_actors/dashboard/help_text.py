"""What the keys and columns mean."""

from __future__ import annotations

_ACTORS = "enter close up  r restart  u suspend  t follow  ? help  q quit"
KEYS_OF = {
    "actors": _ACTORS,
    "nodes": "enter all of it  ? help  esc back",
    "pods": "l log  s shell  r restart  ? help  esc back",
    "devices": "enter all of it  ? help  esc back",
    "deadletters": "enter show  p replay  x drop  space mark  ? help  esc back",
    "events": "enter all of it  ? help  esc back",
    "link": "enter all of it  ? help  esc back",
    "store": "enter all of it  ? help  esc back",
}
HELP = """\
1 to 8     actors, nodes (of a cloud), pods, devices, deadletters, events,
           link, store; or by name, :pods
j k up down, g G, PgUp PgDn   choose a line; its trouble is told below
enter      the line up close          esc  back          q, Ctrl-C  quit
/          filter: letters in this order in any cell; n N  next match
< >        sort by a column (or click on its heading); i  the other way
left right collapse, expand a supervisor: its line sums up what is below
space a    mark a line, all lines     y    copy its name (OSC 52)
[ ] { }    5 s, a minute back and forth in the last 15 minutes
tab        the next process, when several are watched

actors     r restart (its mailbox stays)    u suspend, resume
           e last errors                    K crash (with --allow-faults)
           t follow the messages to it, and what they lead to;
             enter there follows one message alone
pods       l log   s shell   r restart
deadletters  p replay   x drop: the line, or all that are marked

health     ok, slow (it is behind its usual p99, or holds others up),
           dropping, full, blocked (it waits for another), hung (it does not
           come back from a message), restarting (in back-off), down,
           suspended, missing. What is not ok stands first.
queue      messages that wait              msg/s     handled a second
trend      of msg/s, 40 s, all on one scale: what is full is said below
p50, p99   handling time                   restarts  of late
"""
