"""One setting, and a table of them: read from a command line or from a file of ours, checked the same. The settings that both sides have."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from kubeedge_actors.errors import UsageError
from kubeedge_actors.options.value_kinds import (
    DATA_DIR,
    FILE,
    MODULES,
    PORT,
    YES_OR_NO,
    ValueKind,
    choice_kind,
    text_kind,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that a person may set.

    `name` is the key in a file, and the option after two hyphens; `option` is that word where a list is given one by one. A `{}` in
    `help` is its default. `bare`: what an option without a value means. `no_option` and `no_key` say why there is none.
    """

    name: str
    kind: ValueKind
    help: str
    option: str = ""
    bare: str = ""
    no_option: str = ""
    no_key: str = ""

    @property
    def field(self) -> str:
        """The name in the config."""
        return self.name.replace("-", "_")

    @property
    def flag(self) -> str:
        """The option; the key where there is none."""
        return self.name if self.no_option else f"--{self.option or self.name}"

    def read(self, value: Any, source: str) -> Any:
        """The value as the config has it; UsageError that begins with `source` when it does not fit."""
        if self.bare and isinstance(value, bool):
            value = self.bare if value else ""
        try:
            return self.kind.read(value)
        except ValueError as error:
            raise UsageError(f"{source}: {error}") from error


class SettingsTable:
    """The settings of one command, in groups with a title ("" for the first). `config` is the class that holds their values."""

    def __init__(self, config: type[Any], groups: Mapping[str, tuple[Setting, ...]]) -> None:
        self.config = config
        self.groups = groups

    def __iter__(self) -> Iterator[Setting]:
        return (setting for group in self.groups.values() for setting in group)

    def default(self, setting: Setting) -> Any:
        """What holds when nobody says anything."""
        return getattr(self.config(), setting.field, None)

    def help(self, setting: Setting) -> str:
        """What the setting is for, with its default."""
        default = self.default(setting)
        return setting.help.replace("{}", f"{default:g}" if isinstance(default, float) else str(default))

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """The options. They take any text: what fits is said by `parse_options`, as for a file."""
        for title, group in self.groups.items():
            target = parser.add_argument_group(title) if title else parser
            for setting in group:
                if not setting.no_option:
                    target.add_argument(setting.flag, **self._keywords(setting))

    def _keywords(self, setting: Setting) -> dict[str, Any]:
        arguments: dict[str, Any] = {"dest": setting.field, "help": self.help(setting)}
        if setting.kind is YES_OR_NO:
            return arguments | {"action": argparse.BooleanOptionalAction}
        if setting.kind.many:
            arguments["action"] = "append"
        elif setting.bare:
            arguments |= {"nargs": "?", "const": setting.bare}
        return arguments | {"metavar": setting.kind.metavar}

    def parse_options(self, options: argparse.Namespace) -> dict[str, Any]:
        """The fields that options give; UsageError for a value that does not fit."""
        values = {setting: getattr(options, setting.field, None) for setting in self if not setting.no_key}
        return {
            setting.field: setting.read(value, setting.flag) for setting, value in values.items() if value is not None
        }

    def parse_file(self, document: Mapping[Any, Any], path: str) -> dict[str, Any]:
        """The fields that a file of ours gives; UsageError for an unknown key or a value that does not fit."""
        settings = {setting.name: setting for setting in self if not setting.no_key}
        values: dict[str, Any] = {}
        for key, value in document.items():
            setting = settings.get(str(key).replace("_", "-"))
            if setting is None:
                raise UsageError(self._unknown(str(key), path))
            values[setting.field] = setting.read(value, f"{key} in {path}")
        return values

    def _unknown(self, key: str, path: str) -> str:
        for setting in self:
            if setting.no_key and key.replace("_", "-") == setting.name:
                return f"{key} in {path}: it is no key: {setting.no_key}"
        names = ", ".join(sorted(setting.name for setting in self if not setting.no_key))
        return f"the configuration file {path} has the unknown key {key!r}; there are: {names}"

    def check(self, config: Any) -> None:
        """UsageError for a value that does not fit, wherever it came from; what a default says is none of a person's mistakes."""
        settings = {setting.field: setting for setting in self}
        for field in fields(config):
            value, setting = getattr(config, field.name), settings[field.name]
            if value != self.default(setting):
                setting.read(value, setting.flag)


# --- the settings that both sides have -----------------------------------------------------------------------------------

LEVELS = ("debug", "info", "warning", "error")
DATA = Setting("data-dir", DATA_DIR, "holds all state (default: {})")
KEYS = Setting(
    "encryption-key-file",
    FILE,
    "encrypt what may hold secrets in its databases with the keys of this file (default: not)",
)
WATCHING = (
    Setting("metrics-port", PORT, "serve Prometheus metrics at this port (default: not)"),
    Setting(
        "metrics-host", text_kind("ADDRESS"), "address to serve them on (default: {}); others need TLS and a token"
    ),
    Setting("metrics-tls-cert", FILE, "serve them by TLS with this certificate"),
    Setting("metrics-tls-key", FILE, "its key, when the certificate's file does not hold it"),
    Setting("metrics-token-file", FILE, "who asks for them has to show the token in this file"),
    Setting("log-level", choice_kind(*LEVELS), "what goes to standard error (default: {})"),
    Setting("allow-faults", YES_OR_NO, "let the control socket crash actors, to see what happens (default: not)"),
)
OWN = (
    Setting(
        "modules",
        MODULES,
        "a module of your own, with @process behind it in a process of its own; repeatable",
        option="module",
    ),
    Setting("module-config", FILE, "YAML or JSON: what is set for modules, by their names or paths"),
)


def config_file(kubeedge: str) -> Setting:
    """The file that holds the others. `kubeedge`: the name of KubeEdge's own, which may take its place."""
    about = f"KubeEdge's {kubeedge}, or a file with these settings as keys; options win over it"
    return Setting("config", FILE, about, no_key="a configuration file does not name another one")
