"""The zlib dictionary of SPDY/3 (draft-mbelshe-httpbis-spdy-00, 2.6.10.1): words with their lengths, then values without."""

from __future__ import annotations

from typing import Final

_WORDS = (
    "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding"
    "|accept-language|accept-ranges|age|allow|authorization|cache-control|con"
    "nection|content-base|content-encoding|content-language|content-length|co"
    "ntent-location|content-md5|content-range|content-type|date|etag|expect|e"
    "xpires|from|host|if-match|if-modified-since|if-none-match|if-range|if-un"
    "modified-since|last-modified|location|max-forwards|pragma|proxy-authenti"
    "cate|proxy-authorization|range|referer|retry-after|server|te|trailer|tra"
    "nsfer-encoding|upgrade|user-agent|vary|via|warning|www-authenticate|meth"
    "od|get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|keep-alive|o"
    "rigin"
)
_VALUES = (
    "100101201202205206300302303304305306307402405406407408409410411412413414"
    "415416417502504505203 Non-Authoritative Information204 No Content301 Mov"
    "ed Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found5"
    "00 Internal Server Error501 Not Implemented503 Service UnavailableJan Fe"
    "b Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, "
    "Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,applic"
    "ation/xml,application/xhtml+xml,text/plain,text/javascript,publicprivate"
    "max-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY: Final = b"".join(len(word).to_bytes(4) + word.encode() for word in _WORDS.split("|")) + _VALUES.encode()
"""1,423 bytes."""
