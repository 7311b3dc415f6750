"""Names of Kubernetes objects, as apimachinery's validation has them."""

from __future__ import annotations

import re

_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_DNS_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_UID = re.compile("[A-Za-z0-9]([-A-Za-z0-9_.]{0,126}[A-Za-z0-9])?")
_CONFIG_KEY = re.compile("[-._a-zA-Z0-9]{1,253}")


def is_dns_label(text: str) -> bool:
    """Whether it may be the name of a container, a volume or a namespace.

    >>> is_dns_label("main"), is_dns_label("../x"), is_dns_label("a.b")
    (True, False, False)
    """
    return _DNS_LABEL.fullmatch(text) is not None


def is_dns_subdomain(text: str) -> bool:
    """Whether it may be the name of most objects.

    >>> is_dns_subdomain("shop.v1"), is_dns_subdomain(".."), is_dns_subdomain("a" * 254)
    (True, False, False)
    """
    return len(text) <= 253 and _DNS_SUBDOMAIN.fullmatch(text) is not None


def is_uid(text: str) -> bool:
    """Whether it may be the uid of an object: a UUID from an API server, a digest for a static pod.

    >>> is_uid("6f6b2a4e-0000-4000-8000-000000000001"), is_uid(".."), is_uid("a/b"), is_uid("")
    (True, False, False, False)
    """
    return _UID.fullmatch(text) is not None


def is_config_key(text: str) -> bool:
    """Whether it may be a key of a ConfigMap or Secret (apimachinery: IsConfigMapKey).

    >>> is_config_key("app.conf"), is_config_key(".hidden"), is_config_key("..data"), is_config_key("a/b")
    (True, True, False, False)
    """
    return _CONFIG_KEY.fullmatch(text) is not None and text != "." and not text.startswith("..")
