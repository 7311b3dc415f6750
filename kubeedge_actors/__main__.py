"""kubeedge-actors, python -m kubeedge_actors: the front door of the command line."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from kubeedge_actors.errors import UsageError
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.options.parsers import SCRIPT, main_parser, parser, program_name

PACKAGES = ("control", "dashboard", "deadletters", "demo")
AT_THE_NODE = ("pods", "describe", "logs", "exec", "restart", "release", "events", "ctl")
"""Commands that the package ctl carries out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Hand over to the command named first; the exit status."""
    if arguments is None and program_name() == SCRIPT:
        sys.path.insert(0, os.getcwd())  # as `python -m` does: modules of one's own are found from here
    argv = list(sys.argv[1:] if arguments is None else arguments)
    if not argv:
        main_parser().print_help(sys.stderr)
        return 2
    command = main_parser().parse_args(argv[:1]).command
    options = parser(command).parse_args(argv[1:])  # ends here for --help, before any library is needed
    if command == "token":
        return _token(options)
    if command == "completion":
        from kubeedge_actors.options.completion import completion_script

        print(completion_script(options.shell), end="")
        return 0
    if command in AT_THE_NODE:
        return int(import_module("kubeedge_actors.ctl.__main__").main(command, argv[1:]))
    module = f"{command}.__main__" if command in PACKAGES else command
    return int(import_module(f"kubeedge_actors.{module}").main(argv[1:]))


def _token(options: Namespace) -> int:
    from kubeedge_actors.entrypoint import run

    if options.action:
        return run("token", lambda _: _revoke(options))
    if options.node is None:
        return run("token", lambda _: _print(options.data_dir / "token"))
    return run("token", lambda _: print(_node_token(options)))


def _node_token(options: Namespace) -> str:
    """A token for one node, made from the CA of the cloud's data directory; the cloud need not run."""
    from kubeedge_actors.drivers.pki.bootstrap_tokens import TokenClaims, make_node_token
    from kubeedge_actors.drivers.pki.pem import read_pem
    from kubeedge_actors.kubernetes.certificates.der import CERTIFICATE, EC_KEY
    from kubeedge_actors.options.value_kinds import NAME

    try:
        node, life = str(NAME.read(options.node)), seconds_of(options.ttl)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if options.uses < 1:
        raise UsageError(f"--uses: {options.uses} is no whole number above 0")
    certs = options.data_dir / "certs"
    ca, key = read_pem(certs / "ca.crt", CERTIFICATE), read_pem(certs / "ca.key", EC_KEY)
    return make_node_token(ca, key, TokenClaims(time.time() + life, node, options.uses, issued_at=time.time()))


def _revoke(options: Namespace) -> None:
    """Have every replica refuse what was issued to a node until now; through the API that the kubeconfig names."""
    from contextlib import closing

    from kubeedge_actors.drivers.bootstrap.revocations import Revocations
    from kubeedge_actors.drivers.cluster.client_config import from_kubeconfig
    from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
    from kubeedge_actors.options.value_kinds import NAME

    try:
        node = str(NAME.read(options.name or ""))
    except ValueError as error:
        raise UsageError(f"token revoke NODE: {error}") from error
    access = from_kubeconfig(options.kubeconfig or options.data_dir / "kubeconfig")
    with closing(KubernetesCluster(access)) as cluster:
        Revocations(cluster, well_known.SYSTEM_NAMESPACE).revoke(node)
    print(f"what was issued to node {node} until now is refused; it joins again with: token --node {node}")


def seconds_of(text: str) -> float:
    """A duration as a person writes it; ValueError with the whole sentence for anything else.

    >>> seconds_of("30m")
    1800.0
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdecimal() or int(number) < 1:
        raise ValueError(f"--ttl: {text!r} is no time of the form 90s, 30m, 1h, 7d")
    return int(number) * units[unit]


def _print(path: Path) -> None:
    try:
        print(path.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"there is no token at {path}; a cloud that was started with this data directory writes it"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
