"""What the screens are made of. textual is imported here and nowhere else."""

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import DataTable, Footer, Static
from textual.worker import Worker, get_current_worker

__all__ = [
    "App", "Binding", "ComposeResult", "DataTable", "Footer", "ModalScreen", "Screen", "Static", "VerticalScroll", "Worker",
    "get_current_worker", "work",
]  # fmt: skip
