"""Names of Kubernetes objects, as apimachinery's validation has them."""

from __future__ import annotations

import re

DNS_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
UID = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,126}[A-Za-z0-9])?"
LONGEST_KEY = 253
CONFIG_KEY = "[-._a-zA-Z0-9]+"
CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    f"or 'key-name', regex used for validation is '{CONFIG_KEY}')"
)
_CONFIG_KEY = re.compile(CONFIG_KEY)
_DNS_LABEL = re.compile(DNS_LABEL)
_DNS_SUBDOMAIN = re.compile(rf"{DNS_LABEL}(\.{DNS_LABEL})*")
_UID = re.compile(UID)


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


def config_key_errors(key: str) -> list[str]:
    """What is wrong with a key of a config map or secret, in Kubernetes' words (source: validation.IsConfigMapKey).

    >>> config_key_errors("tls.crt"), config_key_errors("..data"), config_key_errors("a/b")[0][:21]
    ([], ["must not start with '..'"], 'a valid config key mu')
    """
    errors = [f"must be no more than {LONGEST_KEY} characters"] if len(key) > LONGEST_KEY else []
    if not _CONFIG_KEY.fullmatch(key):
        errors.append(CONFIG_KEY_TEXT)
    if key in (".", ".."):
        errors.append(f"must not be '{key}'")
    elif key.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def file_path_errors(path: str) -> list[str]:
    """What is wrong with the path of a file in a volume, in Kubernetes' words (source: validateLocalNonReservedPath); a NUL is in no path.

    >>> file_path_errors("etc/app.conf"), file_path_errors("a/../../b"), file_path_errors("/etc"), file_path_errors("..2024_x")
    ([], ["must not contain '..'"], ['must be a relative path'], ["must not start with '..'"])
    """
    parts = path.split("/")
    errors = ["must be a relative path"] if path.startswith("/") else []
    if ".." in parts:
        errors.append("must not contain '..'")
    elif path.startswith(".."):
        errors.append("must not start with '..'")
    if "\0" in path:
        errors.append("must not contain a NUL character")
    return errors


def is_uid(text: str) -> bool:
    """Whether it may be the uid of an object: a UUID from an API server, a digest for a static pod.

    >>> is_uid("6f6b2a4e-0000-4000-8000-000000000001"), is_uid(".."), is_uid("a/b"), is_uid("")
    (True, False, False, False)
    """
    return _UID.fullmatch(text) is not None
