"""`exec`: a command in a container, joined to this terminal or to the pipes of this process."""

from __future__ import annotations

import argparse
import base64
import os
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from kubeedge_actors.control.client import AnswerStream, ControlClient
from kubeedge_actors.ctl.pod_lookup import chosen_container, named, pod_name
from kubeedge_actors.errors import UsageError

PIECE = 64 * 1024
INTERRUPTED = 130
"""The status of a shell for a command that Ctrl-C has ended."""
Ended = Callable[[], bool]


def run_command(options: argparse.Namespace, client: ControlClient, ended: Ended) -> int:
    """Run the command until it ends, or until `ended()`; its exit status. Errors: KubeEdgeActorsError."""
    if not options.command_line:
        raise UsageError("the command stands behind --: exec POD -- COMMAND [ARGUMENT ...]")
    name = pod_name(options.pod)
    (pod,) = named(client.ask("pods", namespace=options.namespace), [name], options.namespace)
    container, remark = chosen_container(pod, options.container)
    if remark:
        print(remark, file=sys.stderr, flush=True)
    terminal = options.tty and options.stdin and sys.stdin.isatty()
    if options.tty and options.stdin and not terminal:
        print("Unable to use a TTY - input is not a terminal or the right kind of file", file=sys.stderr, flush=True)
    place = {"namespace": options.namespace, "pod": name, "container": container}
    how = {"command": options.command_line, "stdin": options.stdin, "tty": terminal}
    with client.stream("podexec", **place, **how) as answers, _raw(terminal):
        if terminal:
            _follow_size(answers)
        if options.stdin:
            threading.Thread(target=_copy_input, args=(answers,), name="input", daemon=True).start()
        return _copy_output(answers, ended)


def _copy_output(answers: AnswerStream, ended: Ended) -> int:
    for answer in answers.answers_until(ended):
        if "exit" in answer:
            code = int(answer["exit"])
            if code:
                print(f"command terminated with exit code {code}", file=sys.stderr, flush=True)
            return code
        pipe = sys.stdout.buffer if answer["channel"] == 1 else sys.stderr.buffer
        pipe.write(base64.b64decode(answer["data"]))
        pipe.flush()
    return INTERRUPTED


def _copy_input(answers: AnswerStream) -> None:
    """On a thread of its own: reading can not be ended."""
    with suppress(OSError):  # the command has ended
        while data := os.read(sys.stdin.fileno(), PIECE):
            answers.send(input=base64.b64encode(data).decode())
        answers.send(input=None)


def _follow_size(answers: AnswerStream) -> None:
    """Tell how large the terminal is, now and whenever it changes."""

    def tell(*_: object) -> None:
        columns, rows = os.get_terminal_size(sys.stdin.fileno())
        with suppress(OSError):  # the command has ended
            answers.send(columns=columns, rows=rows)

    signal.signal(signal.SIGWINCH, tell)
    tell()


@contextmanager
def _raw(terminal: bool) -> Iterator[None]:
    """Have every key reach the command as it is typed."""
    if not terminal:
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin, termios.TCSADRAIN)  # what was typed meanwhile is kept
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
