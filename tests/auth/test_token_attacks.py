"""Attacks on tokens, as a table: each is refused as `Unauthenticated`, whatever it is.

They were collected here from RFC 8725 and from what is known of other libraries; they are not those of any audit.
"""

import asyncio
import base64
import json
import zlib
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.auth.authenticator import Authenticator
from gateway.errors import Unauthenticated
from gateway.settings import Settings
from harness.gateway import SIGN_IN_SECRET
from harness.oidc_provider import AUDIENCE, ISSUER, MAKERS, claims_of, running_provider

ES256 = {"alg": "ES256", "kid": "first"}
OWN = MAKERS["ES256"]()
"""A key of the attacker's."""
OWN_JWK = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(OWN.public_key())) | {"kid": "first"}


@pytest.fixture(scope="module")
def provider():
    with running_provider() as running:
        running.add("rsa", "RS256")
        yield running


@pytest.fixture(scope="module")
def subject(provider):
    """Who a token is for; raises `Unauthenticated`."""
    authenticator = Authenticator(Settings.load(auth_jwks_url=provider.url, auth_issuer=ISSUER, auth_audience=AUDIENCE))
    with asyncio.Runner() as runner:
        yield lambda text: runner.run(authenticator.authenticate(f"Bearer {text}")).subject
        runner.run(authenticator.close())


def encoded(part: Any) -> str:
    """A part of a token: JSON, unless it is bytes already."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(header: Any, claims: Any, key: Any = b"", algorithm: str = "ES256") -> str:
    """A token whose parts may be anything; with bytes for a key, these are its signature."""
    start = f"{encoded(header)}.{encoded(claims)}"
    signature = key
    if not isinstance(key, bytes):
        with_key = jwt.get_algorithm_by_name(algorithm)
        signature = with_key.sign(start.encode(), with_key.prepare_key(key))
    return f"{start}.{encoded(signature)}"


def hs(secret: bytes, algorithm: str = "HS256", kid: Any = "first") -> str:
    """A token that is signed with a secret, even with a public key, which the library would refuse to use so."""
    start = f"{encoded({'alg': algorithm, 'kid': kid})}.{encoded(claims_of())}"
    return f"{start}.{encoded(jwt.get_algorithm_by_name(algorithm).sign(start.encode(), secret))}"


def public(provider: Any, encoding: Encoding) -> bytes:
    form = PublicFormat.SubjectPublicKeyInfo
    return provider.private["rsa"][1].public_key().public_bytes(encoding, form)


def signed(provider: Any, claims: Any = None, **header: Any) -> str:
    """A token that the provider itself signed."""
    return token(ES256 | header, claims_of() if claims is None else claims, provider.private["first"][1])


def parts(provider: Any) -> list[str]:
    return signed(provider).split(".")


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
FORGED = {
    **{f"alg {alg!r}": lambda _, alg=alg: token({"alg": alg, "kid": "first"}, claims_of()) for alg in (
        "none", "None", "nOnE", " none", "", None, 0, True, ["ES256"], {"alg": "ES256"}, "ES256 ", "es256", "dir",
    )},
    "no alg": lambda _: token({"kid": "first"}, claims_of()),
    "two algs, the last of them none": lambda _: token(b'{"alg":"ES256","kid":"first","alg":"none"}', claims_of()),
    "two algs, the first of them none": lambda _: token(b'{"alg":"none","kid":"first","alg":"ES256"}', claims_of()),
    "HS256 with the public key as PEM": lambda p: hs(public(p, Encoding.PEM), kid="rsa"),
    "HS256 with the public key as DER": lambda p: hs(public(p, Encoding.DER), kid="rsa"),
    "HS256 with the public key as JWK": lambda p: hs(json.dumps(p.published("rsa")).encode(), kid="rsa"),
    "HS384 with the public key": lambda p: hs(public(p, Encoding.PEM), "HS384", "rsa"),
    "HS512 with the public key": lambda p: hs(public(p, Encoding.PEM), "HS512", "rsa"),
    "HS256 with no secret": lambda _: hs(b"\0"),
    "HS256 with a secret of another gateway": lambda _: hs(SIGN_IN_SECRET.encode()),
    "HS256 with a file that is empty": lambda _: hs(b"", kid="../../../../dev/null"),
    "HS256 with what a query returns": lambda _: hs(b"x", kid="' UNION SELECT 'x' --"),
    **{f"own key, kid {kid!r}": lambda _, kid=kid: token(ES256 | {"kid": kid}, claims_of(), OWN) for kid in (
        None, "", "first", "FIRST", "first\0", "\ud800", 1, ["first"], {"first": 1}, "f" * 4000, "/dev/null",
    )},
    "own key in jwk": lambda _: token(ES256 | {"jwk": OWN_JWK}, claims_of(), OWN),
    "own key in jku": lambda p: token(ES256 | {"jku": f"{p.url}?keys={encoded(OWN_JWK)}"}, claims_of(), OWN),
    "own key in x5u": lambda _: token(ES256 | {"x5u": "http://127.0.0.1:1/x5u"}, claims_of(), OWN),
    "own key in x5c": lambda _: token(ES256 | {"x5c": [encoded(OWN_JWK)]}, claims_of(), OWN),
    "own key, to be ignored": lambda _: token(ES256 | {"crit": ["kid"]}, claims_of(), OWN),
    "a signature of zeros": lambda _: token(ES256, claims_of(), bytes(64)),
    "a signature of the order": lambda _: token(ES256, claims_of(), ORDER.to_bytes(32, "big") * 2),
    "a signature of ones": lambda _: token(ES256, claims_of(), (b"\0" * 31 + b"\1") * 2),
    "no signature": lambda _: token(ES256, claims_of()),
    "half a signature": lambda p: signed(p)[:-43],
    "the signature twice": lambda p: f"{signed(p)}{parts(p)[2]}",
    "the signature of another token": lambda p: ".".join([*parts(p)[:1], encoded(claims_of(sub="admin")), parts(p)[2]]),
    "another header over the signature": lambda p: ".".join([encoded(ES256 | {"typ": "JWT"}), *parts(p)[1:]]),
    "PS256 over a signature of RS256": lambda p: token(
        {"alg": "PS256", "kid": "rsa"}, claims_of(), p.private["rsa"][1], "RS256"
    ),
    "an RSA key for ES256": lambda _: token({"alg": "ES256", "kid": "rsa"}, claims_of(), OWN),
    "two parts": lambda p: ".".join(parts(p)[:2]),
    "four parts": lambda p: f"{signed(p)}.",
    "five parts, as of JWE": lambda p: f"{encoded({'alg': 'dir', 'enc': 'A256GCM'})}..{'.'.join(parts(p))}",
    "JSON instead of dots": lambda p: json.dumps(dict(zip(("protected", "payload", "x"), parts(p), strict=True))),
    "blanks within": lambda p: signed(p).replace(".", ". "),
    "a line's end within": lambda p: signed(p).replace(".", "\n.", 1),
    "padding": lambda p: signed(p).replace(".", "=.", 1),
    "the scheme twice": lambda p: f"Bearer {signed(p)}",
    "two tokens": lambda p: f"{signed(p)},{signed(p)}",
    "digits that are not ASCII": lambda p: f"{signed(p)[:-1]}\u0661",
    "a header of brackets": lambda _: token(b"[" * 4000, claims_of()),
    "a header of objects": lambda _: token(b'{"a":' * 1000, claims_of()),
    "a number of 5,000 digits": lambda _: token(b'{"alg":"ES256","kid":"first","x":' + b"9" * 5000 + b"}", {}),
    "a header in UTF-16": lambda _: token(json.dumps(ES256).encode("utf-16"), claims_of()),
    "a header that is no UTF-8": lambda _: token(b'{"alg":"ES256","kid":"\xff"}', claims_of()),
    **{f"a header of {header!r}": lambda _, header=header: token(header, claims_of()) for header in (None, 7, "x", [])},
    "very long": lambda p: signed(p, claims_of(x="x" * 9000)),
    "nothing but dots": lambda _: "." * 8192,
}  # fmt: skip
"""By an attacker who has the provider's public keys, and tokens of other people's at most."""

SIGNED = {
    **{f"exp {exp}": f'{{"exp":{exp}}}' for exp in (
        1_000_000_000, 0, -1, "null", '""', '"soon"', "[]", "{}", "NaN", "Infinity", "-Infinity", "1e999", "-1e999",
    )},
    **{f"{name} {at}": f'{{"{name}":{at}}}' for name in ("nbf", "iat") for at in (
        9_999_999_999, '"soon"', "[]", "{}", "NaN", "Infinity", "1e999",
    )},
    **{f"iss {iss}": f'{{"iss":{iss}}}' for iss in (
        "null", '""', f'"{ISSUER}/"', f'"{ISSUER}.evil"', f'" {ISSUER}"', f'["{ISSUER}"]', f'{{"{ISSUER}":1}}', "7",
    )},
    **{f"aud {aud}": f'{{"aud":{aud}}}' for aud in (
        "null", '""', "[]", "{}", "7", "[7]", '"the"', f'"{AUDIENCE} "', f'{{"{AUDIENCE}":1}}',
        f'[["{AUDIENCE}"]]', f'"{AUDIENCE.upper()}"',
    )},
    **{f"sub {sub}": f'{{"sub":{sub}}}' for sub in (
        "null", '""', '" "', "7", "true", '["user_1"]', '{"user_1":1}', r'"\ud800"', r'"a\u0000b"', r'"\u200b"',
        f'"{"x" * 201}"',
    )},
}  # fmt: skip
"""Claims beside the right ones that no provider should sign, and one that does must not break us."""


def refused(subject: Any, text: str) -> bool:
    for _ in range(2):  # what was refused is not remembered as good either
        with pytest.raises(Unauthenticated):
            subject(text)
    return True


def test_a_token_of_the_provider_is_taken_so_that_the_others_are_refused_for_what_they_are(provider, subject):
    assert subject(signed(provider)) == "user_1"
    assert subject(signed(provider, json.dumps(claims_of()).removesuffix("}").encode() + b',"aud":["the-shop"]}'))


@pytest.mark.parametrize("name", FORGED)
def test_what_the_provider_did_not_sign_is_nobody(name, provider, subject):
    assert refused(subject, FORGED[name](provider))


@pytest.mark.parametrize("name", SIGNED)
def test_what_claims_something_else_is_nobody(name, provider, subject):
    usual = json.dumps(claims_of()).removesuffix("}")
    claims = f"{usual},{SIGNED[name].removeprefix('{')}".encode()  # given twice, the last counts
    assert refused(subject, signed(provider, claims))


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"crit": ["b64"], "b64": False}, None),
        ({"b64": False}, None),
        ({"crit": ["exp"], "exp": 1}, None),
        ({"crit": []}, None),
        ({"crit": "exp"}, None),
        ({"crit": ["of-nobody"], "of-nobody": 1}, None),
        ({"cty": "JWT"}, b"eyJhbGciOiJub25lIn0.e30."),
        ({"zip": "DEF"}, zlib.compress(b'{"sub":"user_1"}')),
        ({}, b"null"),
        ({}, b"[]"),
        ({}, b'"user_1"'),
        ({}, b"\xff{}"),
        ({}, b"[" * 4000),
    ],
)  # fmt: skip
def test_what_asks_to_be_read_in_another_way_is_nobody(header, claims, provider, subject):
    assert refused(subject, signed(provider, claims, **header))
