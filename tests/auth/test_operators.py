"""Operators are proved by a token of the settings or by their own provider, and by nothing else: attacks as a table."""

import asyncio
import json
import time
from hashlib import sha256

import jwt
import pytest

from gateway.auth.authenticator import Authenticator
from gateway.auth.operators import Operators
from gateway.auth.principal import Role
from gateway.errors import SettingsError, TokenExpired, Unauthenticated
from gateway.settings import Settings
from harness.gateway import SIGN_IN_SECRET
from harness.oidc_provider import ISSUER, MAKERS, claims_of, running_provider

ANN, BOB = "op_" + "a" * 40, "op_" + "b" * 40
CONSOLE = "the-console"
OWN = MAKERS["ES256"]()


@pytest.fixture(scope="module")
def provider():
    with running_provider() as running:
        running.add("rsa", "RS256")
        yield running


def settings_of(provider, **overrides):
    tokens = f"ann:act:{ANN},bob:read:sha256={sha256(BOB.encode()).hexdigest()}"
    theirs = {"operator_jwks_url": provider.url, "operator_issuer": ISSUER, "operator_audience": CONSOLE}
    return Settings.load(
        console=True, operator_tokens=tokens, auth_hs256_secret=SIGN_IN_SECRET, **{**theirs, **overrides}
    )


@pytest.fixture(scope="module")
def operator(provider):
    """Who a header proves; raises `Unauthenticated`."""
    operators = Operators(settings_of(provider))

    def proved(header):
        if not operators.claims_to_be(header):
            return None
        return runner.run(operators.authenticate(header)).operator

    with asyncio.Runner() as runner:
        yield proved
        runner.run(operators.close())


def test_who_has_a_token_of_the_settings_is_an_operator_of_its_role(operator):
    assert (operator(f"Bearer {ANN}").name, operator(f"bearer {ANN}").role) == ("ann", Role.ACT)
    assert (operator(f"Bearer {BOB}").name, operator(f"Bearer {BOB}").role) == ("bob", Role.READ)


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"roles": ["billing-act"]}, Role.ACT),
        ({"roles": "billing-read"}, Role.READ),
        ({"roles": ["billing-read", "billing-act"]}, Role.ACT),
        ({"roles": ["staff", "billing-read"], "aud": ["other", CONSOLE]}, Role.READ),
    ],
)
def test_the_provider_says_the_role_in_a_claim(provider, operator, claims, role):
    signed = provider.sign(**{"aud": CONSOLE, **claims})["Authorization"]
    assert (operator(signed).name, operator(signed).role) == ("sub user_1", role)


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"email": "ann@example.com", "email_verified": True}, "ann@example.com (sub user_1)"),
        ({"email": "ann@example.com"}, "sub user_1"),
        ({"email": "ann@example.com", "email_verified": False}, "sub user_1"),
        ({"email": "ann@example.com", "email_verified": "true"}, "sub user_1"),
        ({"email": "a" * 81, "email_verified": True}, "sub user_1"),
        ({"email": "ann", "email_verified": True}, "ann (sub user_1)"),
        ({"sub": "ann"}, "sub ann"),
    ],
)
def test_the_provider_gives_no_name_that_is_not_proved_or_is_one_of_the_settings(provider, operator, claims, name):
    assert operator(provider.sign(aud=CONSOLE, roles="billing-act", **claims)["Authorization"]).name == name


def forged(provider, **changes):
    """Headers of tokens for the console that prove nothing."""
    claims = claims_of(aud=CONSOLE, roles=["billing-act"], **changes)
    _, private = provider.private["rsa"]
    public = json.dumps(provider.published("rsa")).encode()
    return {
        "of a digest instead of its token": "op_" + sha256(ANN.encode()).hexdigest(),
        "of another's token": ANN[:-1] + "b",
        "of a part of a token": ANN[:20],
        "signed by somebody": jwt.encode(claims, OWN, algorithm="ES256", headers={"kid": "first"}),
        "signed with the users' secret": jwt.encode(claims, SIGN_IN_SECRET, algorithm="HS256"),
        "signed with the public key": jwt.encode(
            claims, sha256(public).hexdigest(), algorithm="HS256", headers={"kid": "rsa"}
        ),
        "unsigned": jwt.encode(claims, None, algorithm="none"),
        "of a weaker hash": jwt.encode(claims, private, algorithm="RS256", headers={"kid": "first"}),
        "without an end": jwt.encode(claims | {"exp": None}, private, algorithm="RS256", headers={"kid": "rsa"}),
        "not valid yet": jwt.encode(
            claims | {"nbf": time.time() + 900}, private, algorithm="RS256", headers={"kid": "rsa"}
        ),
        "with an e-mail address and no `sub`": jwt.encode(
            {
                **{name: value for name, value in claims.items() if name != "sub"},
                "email": "a@b.c",
                "email_verified": True,
            },
            private,
            algorithm="RS256",
            headers={"kid": "rsa"},
        ),
        "of nobody": jwt.encode(claims | {"sub": " "}, private, algorithm="RS256", headers={"kid": "rsa"}),
    }


def test_what_proves_nothing_is_refused(provider, operator):
    for kind, token in forged(provider).items():
        with pytest.raises(Unauthenticated):
            pytest.fail(f"{kind}: {operator(f'Bearer {token}')}")


@pytest.mark.parametrize(
    "roles",
    [
        None,
        [],
        "",
        "billing",
        "billing-act billing-read",
        "BILLING-ACT",
        {"billing-act": True},
        [["billing-act"]],
        True,
    ],
)
def test_a_user_of_the_provider_without_a_role_is_no_operator(provider, operator, roles):
    signed = provider.sign(aud=CONSOLE, roles=roles)["Authorization"]
    with pytest.raises(Unauthenticated, match="no operator's"):
        operator(signed)


def test_an_expired_token_is_said_to_be_expired(provider, operator):
    with pytest.raises(TokenExpired):
        operator(provider.sign(aud=CONSOLE, roles="billing-act", exp=1)["Authorization"])


def test_a_users_token_is_not_looked_at_and_an_operators_is_nobodys_elsewhere(provider, operator):
    assert operator(provider.sign(aud="the-shop", roles="billing-act")["Authorization"]) is None
    assert operator(f"Bearer {jwt.encode(claims_of(), SIGN_IN_SECRET, algorithm='HS256')}") is None
    assert operator(None) is operator("Basic abc") is operator("Bearer ") is None
    users = Authenticator(settings_of(provider))
    for header in (f"Bearer {ANN}", provider.sign(aud=CONSOLE, roles="billing-act")["Authorization"]):
        with pytest.raises(Unauthenticated):
            asyncio.run(users.authenticate(header))


def test_while_the_console_is_off_nobody_is_an_operator():
    operators = Operators(Settings.load(operator_tokens=f"ann:act:{ANN}"))
    assert not operators.claims_to_be(f"Bearer {ANN}")
    with pytest.raises(Unauthenticated):
        asyncio.run(operators.authenticate(f"Bearer {ANN}"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"console": True},
        {"operator_tokens": ANN},
        {"operator_tokens": f"ann:owner:{ANN}"},
        {"operator_tokens": "ann:act:op_short"},
        {"operator_tokens": "ann:act:" + "x" * 40},
        {"operator_tokens": "ann:act:sha256=abc"},
        {"operator_jwks_url": "https://login.example/keys"},
        {"operator_jwks_url": "http://login.example/keys", "operator_issuer": "i", "operator_audience": "a"},
        {
            "operator_jwks_url": "https://login.example/keys",
            "operator_issuer": "i",
            "operator_audience": "a",
            "auth_issuer": "i",
            "auth_audience": "a",
        },
    ],
    ids=str,
)
def test_settings_that_would_let_too_many_in_stop_the_start(wrong):
    with pytest.raises(SettingsError, match=r"^GATEWAY_(CONSOLE|OPERATOR)") as refused:
        Settings.load(**wrong)
    assert ANN not in str(refused.value)


def test_a_digest_of_a_token_that_could_be_guessed_opens_nothing():
    short = Settings.load(console=True, operator_tokens=f"ann:act:sha256={sha256(b'op_ann').hexdigest()}")
    with pytest.raises(Unauthenticated):
        asyncio.run(Operators(short).authenticate("Bearer op_ann"))


def test_no_token_is_kept_or_shown(provider):
    settings = settings_of(provider)
    assert ANN not in repr(settings)
    assert ANN not in repr(vars(Operators(settings)))
