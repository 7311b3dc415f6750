"""Imports the certificates that a node got from KubeEdge's edgecore, so that it need not join anew."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from kubeedge_actors.drivers.pki.pem import write_file
from kubeedge_actors.errors import CertificateError

log = logging.getLogger(__name__)

NAMES = ("ca.crt", "node.crt", "node.key")


def import_certificates(directory: Path, files: Sequence[str]) -> bool:
    """Copy the CA, the certificate and the key (`files`, PEM, in this order) into an empty `directory`; False when there is nothing to copy.

    Whether they are good is found out when they are used. CertificateError: one can not be read or written.
    """
    if (directory / NAMES[1]).exists() or not all(name and Path(name).exists() for name in files):
        return False
    try:
        contents = [Path(name).read_bytes() for name in files]
    except OSError as error:
        raise CertificateError(f"{error.filename} can not be read: {error.strerror}") from error
    for name, content in zip(NAMES, contents, strict=True):
        write_file(directory / name, content, 0o600 if name.endswith(".key") else 0o644)
    log.warning("the node goes on with the certificate %s, copied to %s", files[1], directory)
    return True
