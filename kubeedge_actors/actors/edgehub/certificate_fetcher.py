"""Fetching certificates without blocking the hub: on a thread of its own, the outcome comes back as a message."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from kubeedge_actors.actors.edgehub.messages import CertificatesFailed, CertificatesReady, RenewalFinished
from kubeedge_actors.drivers.link.base import CertificateSource
from kubeedge_actors.errors import CertificateError, LinkError
from kubeedge_actors.supervisors import Ref
from kubeedge_actors.wire.messages import Message

log = logging.getLogger(__name__)


def run_in_thread(work: Callable[[], None]) -> None:
    """Run `work`, which may block, in a thread of its own."""
    threading.Thread(target=work, name="edgehub-certificates", daemon=True).start()


class CertificateFetcher:
    """Fetches certificates from `source` in a thread; None stands for a link without TLS."""

    def __init__(self, source: CertificateSource | None, background: Callable[[Callable[[], None]], None]) -> None:
        self._source = source
        self._background = background

    def fetch(self, ref: Ref) -> None:
        """Fetch; `ref` gets CertificatesReady or CertificatesFailed."""
        self._background(lambda: ref.tell(self._fetched()))

    def renew(self, ref: Ref) -> None:
        """Renew; `ref` gets RenewalFinished."""
        self._background(lambda: ref.tell(self._renewed()))

    def _fetched(self) -> Message:
        if self._source is None:
            return CertificatesReady(tls=None)
        try:
            return CertificatesReady(tls=self._source.obtain(), renew_at=self._source.renew_at())
        except LinkError as error:
            return CertificatesFailed(reason=str(error), final=isinstance(error, CertificateError))
        except Exception as error:
            log.exception("certificates could not be obtained")
            return CertificatesFailed(reason=f"certificates could not be obtained: {error!r}", final=False)

    def _renewed(self) -> Message:
        try:
            if self._source is not None:
                self._source.renew()
        except LinkError as error:
            return RenewalFinished(failure=str(error))
        except Exception as error:
            log.exception("the certificate could not be renewed")
            return RenewalFinished(failure=repr(error))
        return RenewalFinished()
