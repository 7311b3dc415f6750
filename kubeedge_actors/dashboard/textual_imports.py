"""What the screens are made of. textual is imported here and nowhere else."""

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.geometry import Region
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import DataTable, Footer, Input, Static

__all__ = [
    "App", "Binding", "ComposeResult", "DataTable", "Footer", "Input", "ModalScreen", "Region", "Screen", "Segment", "Static", "Strip", "Style",
    "VerticalScroll", "Widget", "events",
]  # fmt: skip
