"""What becomes of every field of a v1.Pod's spec on this node, by runtime: the table, the checks that it drives, and
the page `docs/reference/pods.md` that is made from it.
"""

from __future__ import annotations
