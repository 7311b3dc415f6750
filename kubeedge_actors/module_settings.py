"""What a person may set about one module of one's own: an entry of `modules:` in a configuration file, or of the file of `--module-config`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kubeedge_actors.config import parse_yaml_documents
from kubeedge_actors.errors import UsageError
from kubeedge_actors.kubernetes.quantity import rounded_up_quantity
from kubeedge_actors.supervisors import Backoff, MailboxSpec, Overflow
from kubeedge_actors.typed_reading import read_as

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]
_USUAL = Backoff()
LEAST_MEMORY = 64 << 20
"""Bytes without which a process can not begin, with something for its module."""


class MailboxSettings(msgspec.Struct):
    """`mailbox`: how many messages it holds, and what it does when it is full with what is told to it; whether what is told to it outlives the
    process, and how many bytes that may be.
    """

    capacity: Count = 1_000
    overflow: Literal["block", "reject", "drop_oldest"] = "block"
    durable: bool = False
    max_bytes: Count = MailboxSpec().max_bytes

    def spec(self) -> MailboxSpec:
        """As the child spec has it."""
        return MailboxSpec(self.capacity, Overflow(self.overflow), durable=self.durable, max_bytes=self.max_bytes)


class BackoffSettings(msgspec.Struct):
    """`backoff`: seconds before restarts; the names are those of `Backoff`."""

    initial: Seconds = _USUAL.initial
    factor: Annotated[float, Meta(ge=1)] = _USUAL.factor
    maximum: Seconds = _USUAL.maximum
    jitter: Annotated[float, Meta(ge=0, le=1)] = _USUAL.jitter
    immediate_retries: Annotated[int, Meta(ge=0)] = _USUAL.immediate_retries
    reset_after: Seconds = _USUAL.reset_after

    def spec(self) -> Backoff:
        """As the child spec has it."""
        return Backoff(**msgspec.structs.asdict(self))


class ModuleSettings(msgspec.Struct, omit_defaults=True):
    """One entry. `path`: where the class is, `package.file:Class`; `memory`: bytes, once it is read by `read_settings`; what is not said is as the module's `spec` has it."""

    path: str = msgspec.field(default="", name="class")
    config: dict[str, Any] | None = None
    process: bool = False
    mailbox: MailboxSettings | UnsetType = UNSET
    handler_deadline: Annotated[float, Meta(gt=0)] | UnsetType | None = UNSET
    max_deliveries: Count | UnsetType = UNSET
    backoff: BackoffSettings | UnsetType = UNSET
    memory: int | str | UnsetType = UNSET

    def overrides(self) -> dict[str, Any]:
        """The fields of the child spec that it gives."""
        given: dict[str, Any] = {"isolation": "process"} if self.process else {}
        for name in ("handler_deadline", "max_deliveries", "memory"):
            if (value := getattr(self, name)) is not UNSET:
                given[name] = value
        for name in ("mailbox", "backoff"):
            if (value := getattr(self, name)) is not UNSET:
                given[name] = value.spec()
        return given


class PlacedSettings(msgspec.Struct, frozen=True):
    """Settings, what they are called in an error, and the file that they are in."""

    settings: ModuleSettings
    place: str
    file: str


def read_settings(data: object, place: str, file: str) -> PlacedSettings:
    """One entry; the keys may have `-` for `_`. UsageError for what does not fit: file, key, and what was expected."""
    if isinstance(data, Mapping):
        data = {str(key).replace("-", "_"): value for key, value in data.items()}
    try:
        settings = read_as(ModuleSettings, data, place, f" in {file}")
    except ValueError as error:
        raise UsageError(str(error)) from error
    if settings.memory is not UNSET:
        settings.memory = _memory_bytes(settings.memory, f"{place}.memory in {file}")
    return PlacedSettings(settings, place, file)


def _memory_bytes(quantity: int | str, where: str) -> int:
    try:
        number = rounded_up_quantity("memory", quantity)
    except ValueError as error:
        raise UsageError(f"{where}: {error} of bytes, such as 256Mi") from error
    if number < LEAST_MEMORY:
        raise UsageError(f"{where}: {quantity} is less than the {LEAST_MEMORY >> 20}Mi that a process needs")
    return number


def read_settings_file(path: str) -> dict[str, PlacedSettings]:
    """The entries of a file for `--module-config` (YAML or JSON), by the name or path of the module. UsageError when it can not be read."""
    try:
        documents = parse_yaml_documents(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--module-config {path} can not be read: {error}") from error
    except ValueError as error:
        raise UsageError(f"--module-config {path} is {error}") from error
    document = documents[0] if len(documents) == 1 else None
    if not isinstance(document, Mapping):
        raise UsageError(f"--module-config {path} is no mapping of names or paths of modules to what is set for them")
    entries = {str(key): read_settings(value, str(key), path) for key, value in document.items()}
    for key, entry in entries.items():
        if entry.settings.path:
            raise UsageError(f"{key}.class in {path}: the module is named by its key here, and started by --module")
    return entries
