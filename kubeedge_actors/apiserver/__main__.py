"""`python -m kubeedge_actors.apiserver`: the API server alone, for trying things out."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from ..errors import KubeEdgeActorsError
from ..osutil.files import write_atomically
from .kubeconfig import kubeconfig
from .server import ApiServer, TlsFiles

DESCRIPTION = """\
An embedded Kubernetes API server on SQLite, without controllers and nodes.

  python -m kubeedge_actors.apiserver --data-dir /tmp/k --port 8001 &
  export KUBECONFIG=/tmp/k/kubeconfig
  kubectl get namespaces

Without TLS files it speaks plain HTTP on loopback, and every caller is an administrator.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    argument_parser = argparse.ArgumentParser(
        prog="python -m kubeedge_actors.apiserver",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    argument_parser.add_argument(
        "--data-dir", type=Path, required=True, help="where the database and the kubeconfig are kept"
    )
    argument_parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    argument_parser.add_argument("--port", type=int, default=8001, help="port to listen on, 0 for any (%(default)s)")
    argument_parser.add_argument("--tls-cert", type=Path, help="PEM certificate of the server")
    argument_parser.add_argument("--tls-key", type=Path, help="PEM key of the server")
    argument_parser.add_argument(
        "--client-ca", type=Path, help="PEM certificate of the CA that signs client certificates"
    )
    return argument_parser


def main(arguments: list[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; answers the exit status."""
    options = parser().parse_args(arguments)
    tls = TlsFiles(options.tls_cert, options.tls_key, options.client_ca) if options.tls_cert else None
    try:
        options.data_dir.mkdir(parents=True, exist_ok=True)
        database = options.data_dir / "apiserver.db"
        server = ApiServer(database=database, host=options.host, port=options.port, tls=tls)
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        server.start()
        write_atomically(options.data_dir / "kubeconfig", kubeconfig(server.url).encode())
    except (KubeEdgeActorsError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"ready {server.url}", flush=True)
    ended.wait()
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
