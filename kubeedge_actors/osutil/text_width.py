"""How much room a text takes on a terminal: Chinese, Japanese and Korean letters and emoji take two places, combining marks none."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

WIDE = ("W", "F")
"""What Unicode calls wide and fullwidth (UAX 11)."""
MARKS = ("Mn", "Me", "Mc", "Cf")
JOINER, AS_EMOJI = "\u200d", "\ufe0f"
"""What makes one picture of two, and a wide picture of a sign."""
SIGNS = "SNP"
"""What there is as an emoji as well: symbols, digits, punctuation."""
SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"


@lru_cache(maxsize=1024)
def _letter_width(letter: str) -> int:
    if letter in SKIN_TONES or (unicodedata.category(letter) in MARKS and letter != "\xad"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in WIDE else 1


def text_width(text: str) -> int:
    """Places of a printable text.

    >>> text_width("pod"), text_width("\u6e29\u5ea6"), text_width("e\u0301"), text_width("\U0001f525 hot")
    (3, 4, 1, 6)
    """
    return len(text) if text.isascii() else len(places(text))


def padded(text: str, width: int, *, right: bool = False) -> str:
    """The text with as many spaces as it lacks, behind it or, for `right`, before it.

    >>> padded("\u6e29", 3) + "|", padded("\u6e29", 3, right=True)
    ('\u6e29 |', ' \u6e29')
    """
    spaces = " " * (width - text_width(text))
    return spaces + text if right else text + spaces


def places(text: str) -> list[str]:
    """The letter at each place, with the marks on it; the second place of a wide one is empty.

    >>> places("a\u6e29")
    ['a', '\u6e29', '']
    """
    found: list[str] = []
    before = ""
    for letter in text:
        width = 0 if before == JOINER else _letter_width(letter)
        if width or not found:
            found += [letter, ""][:width]
        else:
            at = len(found) - 1 - (not found[-1])
            found[at] += letter
            if letter == AS_EMOJI and at == len(found) - 1 and unicodedata.category(found[at][0])[0] in SIGNS:
                found.append("")
        before = letter
    return found


def beginning(text: str, width: int) -> str:
    """As much of the text as fits.

    >>> beginning("温度", 3), beginning("sensor", 3)
    ('温', 'sen')
    """
    if text.isascii():
        return text[:width]
    there = places(text)
    is_halved = 0 < width < len(there) and not there[width]
    return "".join(there[: width - is_halved])


def ending(text: str, width: int) -> str:
    """As much of its end as fits.

    >>> ending("温度", 3), ending("sensor", 3), ending("sensor", 0)
    ('度', 'sor', '')
    """
    there = places(text)
    return "".join(there[max(0, len(there) - width) :])  # the second place of a wide letter is empty anyway
