"""The settings that both commands have."""

from __future__ import annotations

from kubeedge_actors.options.kinds import DATA_DIR, FILE, PORT, YES_OR_NO, one_of, text
from kubeedge_actors.options.setting import Setting

LEVELS = ("debug", "info", "warning", "error")
DATA = Setting("data-dir", DATA_DIR, "holds all state (default: {})")
WATCHING = (
    Setting("metrics-port", PORT, "serve Prometheus metrics at this port (default: not)"),
    Setting("metrics-host", text("ADDRESS"), "address to serve them on (default: {})"),
    Setting("log-level", one_of(*LEVELS), "what goes to standard error (default: {})"),
    Setting("allow-faults", YES_OR_NO, "let the control socket crash actors, to see what happens (default: not)"),
)
OWN = (
    Setting(
        "modules",
        text("pkg.file:Class", many=True),
        "a module of your own, with @process behind it in a process of its own; repeatable",
        option="module",
    ),
)


def config_file(kubeedge: str) -> Setting:
    """The file that holds the others. `kubeedge`: the name of KubeEdge's own, which may take its place."""
    about = f"KubeEdge's {kubeedge}, or a file with these settings as keys; options win over it"
    return Setting("config", FILE, about, no_key="a configuration file does not name another one")
