"""Bootstrap tokens: good ones, and every way to be none."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.drivers.pki.bootstrap_tokens import ca_hash, check_jwt, make_token, split_token
from kubeedge_actors.errors import CertificateError

CA, KEY = b"the certificate", b"the key"


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def signed(header: object, claims: object, key: bytes = KEY) -> str:
    import hmac

    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{part(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def test_a_token_is_the_hash_of_the_ca_and_a_jwt_with_only_an_expiry() -> None:
    token = make_token(CA, KEY, 2000.9)
    first, header, claims, signature = token.split(".")
    assert first == hashlib.sha256(CA).hexdigest() == ca_hash(CA)
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "typ": "JWT"}
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {"exp": 2000}
    assert signature and "=" not in token


@given(st.binary(min_size=1, max_size=200), st.integers(1, 2**40))
def test_a_token_is_good_until_it_expires_and_with_its_own_key(key: bytes, expiry: int) -> None:
    _, jwt = split_token(make_token(CA, key, expiry))
    check_jwt(jwt, key, expiry - 1)
    with pytest.raises(CertificateError, match="token has invalid claims: token is expired"):
        check_jwt(jwt, key, expiry)
    with pytest.raises(CertificateError, match="token signature is invalid"):
        check_jwt(jwt, key + b"x", expiry - 1)


@pytest.mark.parametrize("text", ["", "abc", "a.b.c.d", "0" * 64, "0" * 64 + ".a.b", "0" * 63 + ".a.b.c"])
def test_what_is_no_bootstrap_token_is_told_so(text: str) -> None:
    with pytest.raises(CertificateError, match="not a bootstrap token"):
        split_token(text)


@pytest.mark.parametrize(
    ("jwt", "sentence"),
    [
        ("abc", "token is malformed: token contains an invalid number of segments"),
        ("a.b.c.d", "token is malformed: token contains an invalid number of segments"),
        ("!.b.c", "token is malformed: could not base64 decode header"),
        ("ü.b.c", "token is malformed: could not base64 decode header"),
        (f"{part(b'nonsense')}.b.c", "token is malformed: could not JSON decode header"),
        (f"{part([])}.{part({})}.c", "token is malformed: could not JSON decode header"),
        (f"{part({'alg': 'HS256'})}.{part(b'[' * 5000)}.c", "token is malformed: could not JSON decode claims"),
        (f"{part({'alg': 'none'})}.{part({'exp': 9999})}.", "token is unverifiable"),
        (signed({"alg": "HS512"}, {"exp": 9999}), "token is unverifiable"),
        (signed({}, {"exp": 9999}), "token is unverifiable"),
        (f"{part({'alg': 'HS256'})}.{part({'exp': 9999})}.", "token signature is invalid"),
        (f"{part({'alg': 'HS256'})}.{part({'exp': 9999})}.!", "token is malformed: could not base64 decode signature"),
        (signed({"alg": "HS256"}, {"exp": 9999}, b"another key"), "token signature is invalid"),
        (signed({"alg": "HS256"}, {"exp": 999}), "token has invalid claims: token is expired"),
        (signed({"alg": "HS256"}, {"exp": "9999"}), "token has invalid claims"),
        (signed({"alg": "HS256"}, {"exp": True}), "token has invalid claims"),
        (signed({"alg": "HS256"}, {}), "token has invalid claims"),
    ],
)
def test_a_bad_token_is_refused_in_the_originals_words(jwt: str, sentence: str) -> None:
    with pytest.raises(CertificateError, match=sentence):
        check_jwt(jwt, KEY, 1000.0)


@given(st.text(max_size=100))
def test_no_text_whatever_is_a_token_by_chance(text: str) -> None:
    with pytest.raises(CertificateError):
        check_jwt(text, KEY, 0.0)
