"""The CA, the servers' certificate and the join token in Secrets of the cluster: every replica of the cloud has the same.

Names, keys and forms are the original's (source: KubeEdge cloud/pkg/cloudhub/servers/httpserver/pre_server.go), so that
a genuine cloudcore takes what we made and the other way round. What is in the cluster wins over files; of two clouds
that make a Secret at the same time the first wins and the other takes the winner's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from kubeedge_actors.drivers.bootstrap.secret_client import SecretClient, SecretData
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.pki.base import KeyPair, TlsPaths
from kubeedge_actors.drivers.pki.bootstrap_tokens import ca_hash, expiry_of, split_token
from kubeedge_actors.drivers.pki.file_authority import TOKEN_REFRESH, FileAuthority
from kubeedge_actors.drivers.pki.pem import write_file
from kubeedge_actors.errors import CertificateError, ClusterError, Unreachable
from kubeedge_actors.kubernetes.certificates.der import parse_certificate

log = logging.getLogger(__name__)
T = TypeVar("T")

CA, CA_CERT, CA_KEY = "casecret", "cadata", "cakeydata"
SERVER, SERVER_CERT, SERVER_KEY = "cloudcoresecret", "cloudcoredata", "cloudcorekeydata"
TOKEN, TOKEN_TEXT = "tokensecret", "tokendata"
TRIES = 5
MAX_NAMES = 64
"""In one certificate; each pod that a replica runs in brings another, and the oldest fall out."""
FORBIDDEN = 403


class SecretBackedAuthority:
    """A CertificateAuthority whose files are synced with Secrets of the cluster. Blocks until the API has answered."""

    def __init__(self, authority: FileAuthority, cluster: Cluster, namespace: str) -> None:
        self._authority = authority
        self._secrets = SecretClient(cluster, namespace)
        self._alone = False

    def sync_ca(self) -> bool:
        """Agree on one CA; True when ours was replaced.

        `CertificateError`: the Secret is damaged, or there is no answer and no CA of ours from earlier. Without the
        right to these Secrets the cloud goes on alone, with a warning.
        """
        try:
            return self._secrets.retry_on_conflict(CA, self._agree_on_ca, TRIES)
        except Unreachable as error:
            if self._authority.fresh:
                raise CertificateError(f"whether there is a CA already can not be asked: {error}") from error
            log.warning("our CA is used; whether it is still that of %s can not be asked: %s", self._place(CA), error)
            return False
        except ClusterError as error:
            if error.code != FORBIDDEN:
                raise CertificateError(f"the CA can not be shared through {self._place(CA)}: {error}") from error
            self._alone = True
            log.warning("other replicas of the cloud can not have its CA and token: %s", error)
            return False

    def server_certificate(self, names: Iterable[str] = ()) -> TlsPaths:
        """Files for the servers under these names; what other replicas are called is in the certificate as well.

        Made anew, for all replicas, when it ends soon. While the API is away: what the files give.
        """
        own = tuple(names)
        if self._alone:
            return self._authority.server_certificate(own)
        try:
            return self._secrets.retry_on_conflict(SERVER, lambda: self._agree_on_server(own), TRIES)
        except (ClusterError, CertificateError) as error:
            log.warning("the certificate of the servers is not shared through %s: %s", self._place(SERVER), error)
            return self._authority.server_certificate(own)

    def token(self) -> str:
        """A token that is good for half a day at least: that of another replica, or a new one for all.

        `ClusterError`: no answer; `CertificateError`: the CA of the cluster is another one by now.
        """
        if self._alone:
            return self._authority.token()
        return self._secrets.retry_on_conflict(TOKEN, self._agree_on_token, TRIES)

    def write_token(self, path: Path) -> None:
        """Put such a token into a file that only its owner can read. While the API is away: one of our own."""
        try:
            text = self.token()
        except (ClusterError, CertificateError) as error:
            log.warning("the join token is not shared through %s: %s", self._place(TOKEN), error)
            text = self._authority.token()
        write_file(path, text.encode() + b"\n")

    # --- inside

    def _agree_on_ca(self) -> bool | None:
        secret = self._secrets.get(CA)
        own = self._authority.ca_pair
        if secret is None:
            put = self._secrets.put(CA, {CA_CERT: own.cert, CA_KEY: own.key}, None)
            return False if put else None
        shared = _pair(secret, CA_CERT, CA_KEY)
        if shared is None:
            raise CertificateError(f"the secret {self._place(CA)} is damaged: it has no {CA_CERT} and {CA_KEY}")
        if shared == own:
            return False
        fresh = self._authority.fresh
        self._authority.import_ca(shared)
        level = logging.INFO if fresh else logging.WARNING
        log.log(level, "the CA of %s takes the place of the one in %s", self._place(CA), self._authority.ca_path)
        return True

    def _check_ca(self) -> None:
        """`CertificateError` when the CA was exchanged while we run: then the rest is not ours to write. One that was
        deleted is put back.
        """
        secret, own = self._secrets.get(CA), self._authority.ca_pair
        if secret is None:
            self._secrets.put(CA, {CA_CERT: own.cert, CA_KEY: own.key}, None)
        elif _pair(secret, CA_CERT, CA_KEY) != own:
            raise CertificateError(
                f"{self._place(CA)} holds another CA by now; restart this cloud, so that it takes it"
            )

    def _agree_on_server(self, own: tuple[str, ...]) -> TlsPaths | None:
        self._check_ca()
        secret = self._secrets.get(SERVER)
        shared = _pair(secret, SERVER_CERT, SERVER_KEY) if secret is not None else None
        if shared is not None and self._authority.import_server_pair(shared, own):
            return self._authority.server_certificate(own)
        names = list(dict.fromkeys((*own, *_names(shared))))
        tls = self._authority.server_certificate(names[:MAX_NAMES])
        pair = self._authority.server_pair()
        return tls if self._secrets.put(SERVER, {SERVER_CERT: pair.cert, SERVER_KEY: pair.key}, secret) else None

    def _agree_on_token(self) -> str | None:
        self._check_ca()
        secret = self._secrets.get(TOKEN)
        shared = secret.data.get(TOKEN_TEXT, b"").decode("ascii", "replace").strip() if secret is not None else ""
        if self._is_good_token(shared):
            return shared
        own = self._authority.token()
        return own if self._secrets.put(TOKEN, {TOKEN_TEXT: own.encode()}, secret) else None

    def _is_good_token(self, token: str) -> bool:
        """Whether a token is of our CA and good for more than half a day."""
        try:
            named, jwt = split_token(token)
            self._authority.check_token(jwt)
            remaining = expiry_of(jwt) - self._authority.now()
        except CertificateError:
            return False
        return named == ca_hash(self._authority.ca_der) and remaining > TOKEN_REFRESH

    def _place(self, name: str) -> str:
        return f"{self._secrets.namespace}/{name}"


def _pair(secret: SecretData, cert: str, key: str) -> KeyPair | None:
    if not secret.data.get(cert) or not secret.data.get(key):
        return None
    return KeyPair(secret.data[cert], secret.data[key])


def _names(pair: KeyPair | None) -> tuple[str, ...]:
    """What the servers of others are called."""
    try:
        return tuple(name for name in parse_certificate(pair.cert).sans if name) if pair is not None else ()
    except CertificateError:
        return ()
