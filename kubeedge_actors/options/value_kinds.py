"""The kinds of values: what fits, how it is read from a command line or a file, what is said when it does not fit.

A command line gives texts, a file gives what YAML makes of it; both are read by the same function and refused by the same sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubeedge_actors.config import ModuleEntry
from kubeedge_actors.kubernetes.quantity import rounded_up_quantity

LABEL = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_./]{0,316}=([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
ADDRESS_OF_TYPE = re.compile(r"(?:(?:InternalDNS|Hostname)=)?(?:\[[0-9a-fA-F:.]+\]|[^\s:=\[\]/]+)(?::[0-9]{1,5})?|")
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class ValueKind:
    """One kind of value.

    `refusal` completes the sentence "VALUE is ..." about a value that does not fit; `convert` raises ValueError or TypeError for it.
    `metavar` stands for the value in a usage, and tells a shell how to complete it (completion.py). `many`: an option that may be repeated,
    and a list in a file; `items` and `items_name`: of what.
    """

    refusal: str
    convert: Callable[[Any], Any]
    metavar: str = ""
    many: bool = False
    items: tuple[type, ...] = (str,)
    items_name: str = "texts"

    def read(self, value: Any) -> Any:
        """The value as the program wants it; ValueError with the whole sentence when it does not fit."""
        if not self.many:
            return self._convert_item(value)
        if not isinstance(value, list | tuple) or not all(isinstance(item, self.items) for item in value):
            raise ValueError(f"{quoted(value)} is no list of {self.items_name}")
        return tuple(self._convert_item(item) for item in value)

    def _convert_item(self, value: Any) -> Any:
        try:
            return self.convert(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{quoted(value)} is {self.refusal}") from error


def quoted(value: Any) -> str:
    """A value in a sentence; a number is the same whether it was text or not.

    >>> quoted("70000"), quoted(70000), quoted("x")
    ('70000', '70000', "'x'")
    """
    text = str(value)
    return text if re.fullmatch(r"-?\d+(\.\d+)?", text) else repr(value)


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool | dict | list):
        raise TypeError("it is of another type")
    return str(value)


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if not pattern.fullmatch(_text(value)):
            raise ValueError("it has another form")
        return _text(value)

    return convert


def _integer(lowest: int, highest: int | None = None) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        number = int(value) if isinstance(value, float) and value.is_integer() else int(_text(value))
        if number < lowest or (highest is not None and number > highest):
            raise ValueError("it is out of range")
        return number

    return convert


def _size(value: Any) -> int:
    size = rounded_up_quantity("memory", _text(value))
    if size < 1:
        raise ValueError("it is out of range")
    return size


def _seconds(value: Any) -> float:
    number = float(_text(value))
    if not 0 < number < float("inf"):
        raise ValueError("it is out of range")
    return number


def _same(value: Any) -> Any:
    """What is said about a module is looked at when that is loaded (plugins.py): only then is it known what fits."""
    return value


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("it is neither true nor false")
    return value


def _host_and_port(value: Any) -> str:
    address = urlsplit(f"//{_text(value)}")
    if value and (not address.hostname or address.port is None):
        raise ValueError("it has another form")
    return _text(value)


def _absolute_path(value: Any) -> Path:
    """It still means the same after a process has changed its directory."""
    return Path(_text(value)).absolute()


def url_kind(scheme: str) -> ValueKind:
    """An address with this scheme, or nothing."""

    def convert(value: Any) -> str:
        if value and (urlsplit(_text(value)).scheme != scheme or not urlsplit(_text(value)).hostname):
            raise ValueError("it has another form")
        return _text(value)

    return ValueKind(f"no address of the form {scheme}://HOST:PORT", convert, "URL")


def choice_kind(*words: str) -> ValueKind:
    """One of these words."""

    def convert(value: Any) -> str:
        if _text(value) not in words:
            raise ValueError("it is none of them")
        return _text(value)

    return ValueKind(f"none of {', '.join(words)}", convert, f"{{{','.join(words)}}}")


def text_kind(metavar: str, *, many: bool = False) -> ValueKind:
    """Any text, or a list of them."""
    return ValueKind("no text", _text, metavar, many=many)


MODULES = ValueKind("no module", _same, "pkg.file:Class", True, (str, dict, ModuleEntry), "paths and mappings")
FILE = ValueKind("no path", _text, "FILE")
FOLDER = ValueKind("no path", _text, "DIR")
DATA_DIR = ValueKind("no path", _absolute_path, "DIR")
PORT = ValueKind(f"no port: 0 to {HIGHEST_PORT}", _integer(0, HIGHEST_PORT), "PORT")
SIZE = ValueKind("no size such as 10Mi", _size, "SIZE")
FILES = ValueKind("no number of files: 2 or more", _integer(2), "NUMBER")
NUMBER = ValueKind("no whole number above 0", _integer(1), "NUMBER")
SECONDS = ValueKind("no number of seconds above 0", _seconds, "SECONDS")
YES_OR_NO = ValueKind("neither true nor false", _yes_or_no)
NAME = ValueKind("no name of a node: small letters, digits, '-' and '.'", _matching(NODE_NAME), "NAME")
LABELS = ValueKind("not of the form NAME=VALUE", _matching(LABEL), "NAME=VALUE", many=True)
HOST_AND_PORT = ValueKind("no address of the form HOST:PORT", _host_and_port, "HOST:PORT")
KUBELET_ADDRESS = ValueKind(
    "no address of the form [InternalDNS=|Hostname=]HOST[:PORT]", _matching(ADDRESS_OF_TYPE), "ADDRESS"
)
MODE = ValueKind("none of 0, 1, 2", _integer(0, 2), "{0,1,2}")
