"""Access control list in the format of mosquitto's `acl_file`. Pure, but for reading the file.

    topic [read|write|readwrite|deny] FILTER       for clients without a user name, or for the user named before
    user NAME                                      the `topic` lines that follow are his
    pattern [read|write|readwrite|deny] FILTER     for everybody; %c is the client's id, %u its user name

A file allows nothing that it does not name; `deny` wins over everything. Without a file everything is allowed, but for
what nobody can be served with here (`RESERVED`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kubeedge_actors.errors import UsageError
from kubeedge_actors.mqtt_topics import covers, matches, overlap, valid_filter

RESERVED = ("$share/#", "test/nosubscribe")
"""Filters that are refused without an ACL file. `$share/...` asks for MQTT 5's shared subscriptions, which there are none
of here, so that the client would wait for ever. `test/nosubscribe` is refused so that an application can try out how it takes a
refusal; Eclipse Paho's own test broker refuses the same name.
"""
ACCESS = ("read", "write", "readwrite", "deny")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a file."""

    access: str
    filter: str


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """The client that permissions are for: client id and user."""

    client_id: str
    user: str | None = None


class Permissions:
    """What one client may do."""

    __slots__ = ("_denied", "_everything", "_readable", "_refused", "_writable")

    def __init__(self, rules: Iterable[Rule] | None = None) -> None:
        rules = tuple(rules) if rules is not None else None
        self._everything = rules is None
        self._refused = RESERVED if rules is None else ()
        self._readable = _filters(rules, "read", "readwrite")
        self._writable = _filters(rules, "write", "readwrite")
        self._denied = _filters(rules, "deny")

    @property
    def is_unlimited(self) -> bool:
        """Whether `may_read` and `may_write` are always True."""
        return self._everything

    def may_subscribe(self, filter: str) -> bool:
        """Whether anything that matches the filter may come to this client."""
        if any(covers(pattern, filter) for pattern in (*self._refused, *self._denied)):
            return False
        return self._everything or any(overlap(pattern, filter) for pattern in self._readable)

    def may_read(self, topic: str) -> bool:
        """Whether a publication on this topic may come to this client."""
        return self._everything or self._may(self._readable, topic)

    def may_write(self, topic: str) -> bool:
        """Whether this client may publish on this topic."""
        return self._everything or self._may(self._writable, topic)

    def _may(self, allowed: tuple[str, ...], topic: str) -> bool:
        if any(matches(pattern, topic) for pattern in self._denied):
            return False
        return any(matches(pattern, topic) for pattern in allowed)


def _filters(rules: tuple[Rule, ...] | None, *access: str) -> tuple[str, ...]:
    return tuple(rule.filter for rule in rules or () if rule.access in access)


ALL_PERMISSIONS = Permissions()


class AccessList:
    """The rules of a file, read once."""

    def __init__(self, path: Path) -> None:
        """Error: UsageError for a file that can not be read, or the first line that is none."""
        self._of_user: dict[str | None, list[Rule]] = {}
        self._patterns: list[Rule] = []
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the MQTT access list {path} can not be read") from error
        user: str | None = None
        for number, line in enumerate(lines, 1):
            word, _, argument = line.strip().partition(" ")
            if word == "user" and argument.strip():
                user = argument.strip()
            elif word in ("topic", "pattern") and (rule := _rule(argument)) is not None:
                (self._patterns if word == "pattern" else self._of_user.setdefault(user, [])).append(rule)
            elif word and not word.startswith("#"):
                raise UsageError(f"line {number} of the MQTT access list {path} is not a rule: {line.strip()[:100]}")

    def permissions(self, client: ClientIdentity) -> Permissions:
        """What a client may do."""
        patterns = [_fill_pattern(pattern, client) for pattern in self._patterns]
        return Permissions(
            (*self._of_user.get(client.user, ()), *(pattern for pattern in patterns if pattern is not None))
        )


def _rule(text: str) -> Rule | None:
    first, _, remainder = text.strip().partition(" ")
    access, filter = (
        (first, remainder.strip()) if first in ACCESS and remainder.strip() else ("readwrite", text.strip())
    )
    return Rule(access, filter) if valid_filter(filter) else None


def _fill_pattern(rule: Rule, client: ClientIdentity) -> Rule | None:
    """The pattern for this client; None when what it asks for is not known, or would widen what the pattern allows."""
    names = {"%c": client.client_id, "%u": client.user}
    values = {sign: name for sign, name in names.items() if sign in rule.filter}
    if any(name is None or any(sign in name for sign in "+#/") for name in values.values()):
        return None
    return Rule(rule.access, re.sub("%[cu]", lambda match: values[match[0]] or "", rule.filter))
