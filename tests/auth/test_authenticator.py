"""Sign-in: whose tokens are believed, whose are not, and what an outage of the provider does.

One long file, because each attack on a token is a test of its own.
"""

import asyncio
import base64
import json
import time
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from gateway.auth.authenticator import LEEWAY_SECONDS, Authenticator, TokenCache
from gateway.auth.jwks import COLD_PAUSE_SECONDS, KeySet
from gateway.auth.principal import Principal
from gateway.auth.tokens import Tokens, Trust
from gateway.errors import SettingsError, Unauthenticated
from gateway.settings import Settings
from harness.command import run
from harness.gateway import SERVICE_TOKEN, SIGN_IN_SECRET, make_world
from harness.oidc_provider import AUDIENCE, ISSUER, MAKERS, claims_of, running_provider

WHO = "{ viewer { id } }"


@pytest.fixture(scope="module")
def provider():
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def world(provider, new_sqlite):
    """A gateway whose users sign in at the provider alone."""
    provided = {
        "auth_jwks_url": provider.url,
        "auth_jwks_min_refresh_seconds": 0,
        "auth_issuer": ISSUER,
        "auth_audience": AUDIENCE,
        "auth_hs256_secret": None,
        "service_tokens": f"{SERVICE_TOKEN},another-token-of-the-back-end",
    }
    with make_world(new_sqlite(), fill=False, **provided) as made:
        yield made


def who(world, headers):
    """The user that a request is taken for."""
    return world.data(WHO, headers=headers)["viewer"]["id"]


def refusal(world, headers):
    """The sentence with which a request is refused."""
    answer = world.graphql(WHO, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"
    return error["message"]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def encoded(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", MAKERS)
def test_a_user_of_the_provider_is_known_by_the_subject(world, provider, algorithm):
    provider.add(f"of-{algorithm}", algorithm)
    assert who(world, provider.sign(f"of-{algorithm}", sub="auth0|ada")) == "auth0|ada"


def test_nobody_is_signed_in_without_a_header(world):
    assert world.data(WHO) == {"viewer": None}


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"exp": int(time.time()) - 60}, "the token has expired; sign in again"),
        ({"exp": None}, "the token lacks a claim that it must have, such as `exp`"),
        ({"exp": "soon"}, "this token is not valid"),
        ({"nbf": int(time.time()) + 86_400}, "the token is not valid yet"),
        ({"iat": int(time.time()) + 86_400}, "the token is not valid yet"),
        ({"iss": "https://login.evil.example"}, "the token is from another issuer"),
        ({"iss": None}, "the token lacks a claim that it must have, such as `exp`"),
        ({"aud": "another-shop"}, "the token is for another audience"),
        ({"aud": ["one", "two"]}, "the token is for another audience"),
        ({"aud": None}, "the token lacks a claim that it must have, such as `exp`"),
        ({"sub": None}, "the token's `sub` must be a text of 1 to 200 characters"),
        ({"sub": ""}, "the token's `sub` must be a text of 1 to 200 characters"),
        ({"sub": "x" * 201}, "the token's `sub` must be a text of 1 to 200 characters"),
        ({"sub": "a\0b"}, "the token's `sub` must be a text of 1 to 200 characters"),
        ({"sub": "half a pair: \ud83d"}, "the token's `sub` must be a text of 1 to 200 characters"),
        ({"sub": "   "}, "the token's `sub` must be a text of 1 to 200 characters"),
        ({"sub": "\u00a0\u2003"}, "the token's `sub` must be a text of 1 to 200 characters"),
        ({"sub": "\u200b\ufeff"}, "the token's `sub` must be a text of 1 to 200 characters"),
    ],
)
def test_a_token_that_claims_the_wrong_thing_is_refused_with_what_is_wrong(world, provider, claims, sentence):
    assert refusal(world, provider.sign(**claims)) == sentence


def test_a_clock_that_is_a_few_seconds_off_does_no_harm(world, provider):
    assert who(world, provider.sign(exp=int(time.time()) - 4)) == "user_1"
    assert who(world, provider.sign(nbf=int(time.time()) + 4)) == "user_1"


def test_one_of_several_audiences_is_enough(world, provider):
    assert who(world, provider.sign(aud=["another-shop", AUDIENCE])) == "user_1"


def test_a_token_without_a_signature_is_refused(world):
    for algorithm in ("none", "None", "NONE", None, ["ES256"]):
        token = f"{encoded({'alg': algorithm, 'kid': 'first'})}.{encoded(claims_of())}."
        assert "valid" in refusal(world, bearer(token)) or "signed" in refusal(world, bearer(token))


def test_a_public_key_never_passes_for_a_secret(world, provider):
    """The classic: the provider's public key, which everybody has, taken as the secret of an HMAC."""
    provider.add("rsa", "RS256")
    public = provider.private["rsa"][1].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signing_input = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{encoded(claims_of())}"
    hs256 = jwt.get_algorithm_by_name("HS256")
    for secret in (pem, pem.strip(), json.dumps(provider.published("rsa")).encode()):
        signature = base64.urlsafe_b64encode(hs256.sign(signing_input.encode(), secret)).rstrip(b"=").decode()
        sentence = refusal(world, bearer(f"{signing_input}.{signature}"))
        assert sentence == "the token is not signed in a way that is accepted here"


def test_a_symmetric_key_among_the_published_ones_is_not_believed(world, provider):
    provider.keys.append({"kty": "oct", "kid": "open-secret", "alg": "HS256", "k": "c" * 43})
    provider.keys.append({**provider.published("first"), "kid": "unsigned", "alg": "none"})
    secret = base64.urlsafe_b64decode("c" * 43 + "=")
    token = jwt.encode(claims_of(), secret, algorithm="HS256", headers={"kid": "open-secret"})
    assert refusal(world, bearer(token)) == "the token is not signed in a way that is accepted here"
    assert who(world, provider.sign()) == "user_1"


def test_a_forged_or_changed_token_is_refused_without_a_word_about_keys(world, provider):
    provider.private["attacker"] = ("ES256", MAKERS["ES256"]())
    assert refusal(world, provider.sign("first", by="attacker")) == "this token is not valid"
    header, _, signature = provider.sign()["Authorization"].split(".")
    assert refusal(world, {"Authorization": f"{header}.{encoded(claims_of(sub='admin'))}.{signature}"}) == (
        "this token is not valid"
    )
    assert refusal(world, provider.sign("attacker")) == "this token is not valid"


def test_a_key_is_used_for_its_own_algorithm_alone(world, provider):
    provider.add("only-rs512", "RS256", alg="RS512")
    provider.add("for-secrets", "RS256", use="enc")
    provider.add("an-ec-key", "ES256")
    assert refusal(world, provider.sign("only-rs512")) == "this token is not valid"
    assert refusal(world, provider.sign("for-secrets")) == "this token is not valid"
    rsa = provider.private["only-rs512"][1]
    token = jwt.encode(claims_of(), rsa, algorithm="RS256", headers={"kid": "an-ec-key"})
    assert refusal(world, bearer(token)) == "this token is not valid"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Basic dXNlcjpwYXNz",
        "token",
        "Bearer a.b",
        "Bearer a.b.c",
        "Bearer ...",
        "Bearer " + "x" * 9000,
        "Bearer \u00e4.\u00f6.\u00fc",
        "Bearer " + base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.x",
        f"Bearer {SERVICE_TOKEN}0",
        f"Bearer {SERVICE_TOKEN[:-1]}",
    ],
)
def test_nothing_that_stands_in_the_header_breaks_the_gateway(world, header):
    raw = {"Authorization": header.encode("latin-1")}
    assert refusal(world, raw)


def test_both_service_tokens_are_taken_during_a_rotation(world):
    for token in (SERVICE_TOKEN, "another-token-of-the-back-end"):
        answer = world.graphql('{ customer(externalId: "nobody") { id } }', headers=bearer(token)).json()
        assert answer == {"data": {"customer": None}}


async def test_a_new_key_is_picked_up_and_unknown_ones_do_not_make_the_provider_suffer(provider):
    passed = SimpleNamespace(seconds=0.0)
    authenticator = authenticator_with(KeySet(provider.url, 30, clock=lambda: passed.seconds), provider)

    async def subject(header):
        return (await authenticator.authenticate(header["Authorization"])).subject

    assert await subject(provider.sign()) == "user_1"
    passed.seconds += 30
    provider.private["never-published"] = ("ES256", MAKERS["ES256"]())
    asked = provider.asked
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            await subject(provider.sign("never-published"))
    assert provider.asked == asked + 1

    provider.add("rotated")
    passed.seconds += 29
    with pytest.raises(Unauthenticated):
        await subject(provider.sign("rotated"))
    passed.seconds += 1
    assert await subject(provider.sign("rotated")) == "user_1"
    assert provider.asked == asked + 2
    await authenticator.close()


def test_an_outage_of_the_provider_is_survived_with_the_known_keys(world, provider):
    assert who(world, provider.sign()) == "user_1"
    provider.down = True
    try:
        provider.add("during-the-outage")
        assert refusal(world, provider.sign("during-the-outage")) == "this token is not valid"
        assert who(world, provider.sign()) == "user_1"
    finally:
        provider.down = False
    assert who(world, provider.sign("during-the-outage")) == "user_1"


def settings_with(**given):
    return Settings.load(**{"auth_issuer": ISSUER, "auth_audience": AUDIENCE, **given})


def authenticator_with(keys, provider):
    """An authenticator over a key set."""
    settings = settings_with(auth_jwks_url=provider.url)
    return Authenticator(settings, tokens=Tokens(Trust.of_users(settings), LEEWAY_SECONDS, keys))


async def test_many_who_come_at_once_ask_the_provider_once(provider):
    authenticator = Authenticator(settings_with(auth_jwks_url=provider.url))
    asked = provider.asked
    header = provider.sign()["Authorization"]
    found = await asyncio.gather(*(authenticator.authenticate(header) for _ in range(50)))
    assert {principal.subject for principal in found} == {"user_1"}
    assert provider.asked - asked == 1
    await authenticator.close()


async def test_a_provider_that_is_down_at_the_start_is_asked_again_soon(provider):
    passed = SimpleNamespace(seconds=0.0)
    authenticator = authenticator_with(KeySet(provider.url, 30, clock=lambda: passed.seconds), provider)
    provider.down = True
    try:
        with pytest.raises(Unauthenticated, match="the sign-in provider's keys cannot be read now; try again"):
            await authenticator.authenticate(provider.sign()["Authorization"])
    finally:
        provider.down = False
    passed.seconds += COLD_PAUSE_SECONDS
    principal = await authenticator.authenticate(provider.sign()["Authorization"])
    assert principal.subject == "user_1"
    await authenticator.close()


@pytest.fixture
def proofs(monkeypatch):
    """The tokens whose signatures were checked."""
    checked: list[str] = []
    decode = jwt.decode
    monkeypatch.setattr(
        "jwt.decode", lambda token, *args, **options: checked.append(token) or decode(token, *args, **options)
    )
    return checked


async def test_a_token_is_proved_once_and_a_changed_or_forged_one_again_and_again(provider, proofs):
    authenticator = Authenticator(settings_with(auth_jwks_url=provider.url))
    header = provider.sign()["Authorization"]
    known = {await authenticator.authenticate(header) for _ in range(3)}
    assert len(known) == len(proofs) == 1
    start, _, signature = header.split(".")
    for changed in (
        f"{start}.{encoded(claims_of(sub='admin'))}.{signature}",
        f"{header[:-4]}AAAA",
        f"{header}=",
        header[:-1],
    ):
        for _ in range(2):
            with pytest.raises(Unauthenticated):
                await authenticator.authenticate(changed)
    assert len(proofs) == 5, "what cannot even be read as a token needs no check of its signature"
    assert await authenticator.authenticate(header) in known
    await authenticator.close()


async def test_a_token_that_was_proved_still_ends_when_it_says_and_after_the_same_leeway(proofs):
    """The token has run out eight seconds ago, of the ten by which clocks may differ."""
    authenticator = Authenticator(Settings.load(auth_hs256_secret=SIGN_IN_SECRET))
    ends = int(time.time()) + 2
    token = jwt.encode(claims_of(exp=ends - LEEWAY_SECONDS), SIGN_IN_SECRET, algorithm="HS256")

    async def is_taken():
        try:
            return (await authenticator.authenticate(f"Bearer {token}")).subject == "user_1"
        except Unauthenticated as refused:
            assert "the token has expired" in str(refused)  # noqa: PT017 - it is taken first
            return False

    began = time.time()
    while await is_taken():
        assert began < ends
        await asyncio.sleep(0.02)
        began = time.time()
    assert time.time() >= ends
    assert len(proofs) == 2, "it was proved when it came, and again when it had ended"


@pytest.mark.parametrize(
    ("now", "found"),
    [(1000.0, True), (1059.99 - LEEWAY_SECONDS, True), (1059.99, True), (1060.0, False), (999.0, False)],
)
def test_a_proof_is_kept_until_its_token_ends_and_not_for_a_clock_that_was_put_back(now, found):
    """Before the moment of its proof the token may not have begun (`nbf`): it is proved again."""
    moment = SimpleNamespace(now=1000.0)
    cache = TokenCache(10_000, clock=lambda: moment.now)
    ada = Principal(subject="ada", expires_at=1060 - LEEWAY_SECONDS)
    cache.keep("token", ada, None)
    moment.now = now
    assert cache.find("token", None) == (ada if found else None)


async def test_what_is_proved_for_one_audience_or_secret_is_not_for_another(provider):
    ours, theirs = (
        Authenticator(settings_with(auth_jwks_url=provider.url, auth_audience=audience))
        for audience in (AUDIENCE, "other")
    )
    header = provider.sign()["Authorization"]
    for _ in range(2):
        assert (await ours.authenticate(header)).subject == "user_1"
        with pytest.raises(Unauthenticated, match="for another audience"):
            await theirs.authenticate(header)
    await ours.close()
    await theirs.close()


async def test_only_so_many_proofs_are_remembered_and_those_asked_for_last_stay(proofs):
    authenticator = Authenticator(Settings.load(auth_hs256_secret=SIGN_IN_SECRET), max_cache_bytes=3 * 750)
    first, *others = (jwt.encode(claims_of(sub=f"user_{n}"), SIGN_IN_SECRET, algorithm="HS256") for n in range(5))
    for token in others:
        for each in (first, token):
            await authenticator.authenticate(f"Bearer {each}")
    assert proofs == [first, *others]
    assert (await authenticator.authenticate(f"Bearer {others[0]}")).subject == "user_1"
    assert proofs == [first, *others, others[0]]


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"keys": 7}', b"x" * 300_000, "javascript:1"])
async def test_what_is_no_key_set_is_no_key_set(body):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if isinstance(body, str):
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {body}\r\n\r\n".encode())
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    authenticator = Authenticator(settings_with(auth_jwks_url=f"http://127.0.0.1:{port}/"))
    token = jwt.encode(claims_of(), MAKERS["ES256"](), algorithm="ES256")
    with pytest.raises(Unauthenticated, match="cannot be read now"):
        await authenticator.authenticate(f"Bearer {token}")
    await authenticator.close()
    server.close()


async def test_a_shared_secret_signs_in_and_does_not_open_the_door_to_other_ways(provider):
    authenticator = Authenticator(Settings.load(auth_hs256_secret=SIGN_IN_SECRET, auth_subject_claim="org_id"))
    claims = claims_of(org_id="org_1", email="ada@example.com", email_verified=True, exp=int(time.time()) + 60)
    principal = await authenticator.authenticate(f"Bearer {jwt.encode(claims, SIGN_IN_SECRET, algorithm='HS256')}")
    assert (principal.subject, principal.email, principal.email_verified) == ("org_1", "ada@example.com", True)
    assert principal.expires_at == claims["exp"]
    for other in (
        jwt.encode(claims, SIGN_IN_SECRET + "0", algorithm="HS256"),
        jwt.encode(claims, SIGN_IN_SECRET * 2, algorithm="HS512"),
        provider.sign(org_id="org_1")["Authorization"].removeprefix("Bearer "),
    ):
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate(f"Bearer {other}")


@pytest.mark.parametrize(
    "claims",
    [
        *({"email_verified": said} for said in ("true", 1, [True])),
        *(
            {"email": email}
            for email in ("no-address", ["a@b.de"], "\ud800@b.de", "a\0@b.de", "a@b.de\n", "\u200ba@b.de")
        ),
    ],
)
async def test_an_email_is_verified_only_when_the_provider_says_exactly_so(claims):
    authenticator = Authenticator(Settings.load(auth_hs256_secret=SIGN_IN_SECRET))
    said = claims_of(**{"email": "ada@example.com", "email_verified": True, **claims})
    principal = await authenticator.authenticate(f"Bearer {jwt.encode(said, SIGN_IN_SECRET, algorithm='HS256')}")
    assert principal.email_verified is False


async def test_where_nobody_can_sign_in_a_bearer_is_the_back_end_or_refused():
    authenticator = Authenticator(Settings.load(service_tokens=SERVICE_TOKEN))
    assert (await authenticator.authenticate(f"bearer {SERVICE_TOKEN}")).is_service
    token = jwt.encode(claims_of(), SIGN_IN_SECRET, algorithm="HS256")
    with pytest.raises(Unauthenticated, match="not signed in a way that is accepted here"):
        await authenticator.authenticate(f"Bearer {token}")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"auth_jwks_url": "http://login.example/keys"}, "AUTH_JWKS_URL: whoever can change the keys"),
        ({"auth_jwks_url": "file:///etc/passwd"}, "AUTH_JWKS_URL: "),
        (
            {"auth_hs256_secret": "hushed"},
            "AUTH_HS256_SECRET: the secret is too short; use a random one of at least 32 bytes",
        ),
        (
            {"service_tokens": f"{SERVICE_TOKEN},hushed"},
            "GATEWAY_SERVICE_TOKEN: a token is too short; use random ones of at least 16",
        ),
    ],
)
def test_a_sign_in_that_is_not_safe_stops_the_start(given, line):
    with pytest.raises(SettingsError) as stopped:
        Settings.load(**given)
    assert str(stopped.value).startswith(line)
    assert "hushed" not in str(stopped.value)


@pytest.mark.parametrize("url", ["https://login.example/keys", "http://127.0.0.1:1/keys", "http://[::1]:1/keys"])
def test_keys_come_over_tls_or_from_the_same_machine(url):
    assert Settings.load(auth_jwks_url=url).auth_jwks_url == url


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({}, "! sign-in: none: guests only → set AUTH_JWKS_URL"),
        ({"AUTH_HS256_SECRET": SIGN_IN_SECRET, "AUTH_ISSUER": ISSUER}, "! sign-in: HS256 → set AUTH_AUDIENCE, or"),
        (
            {"AUTH_JWKS_URL": "https://x.example/k", "AUTH_ISSUER": ISSUER, "AUTH_AUDIENCE": AUDIENCE},
            f"✓ sign-in: JWKS, from {ISSUER} for {AUDIENCE}",
        ),
    ],
)
def test_the_doctor_says_how_users_sign_in_and_what_that_lacks(tmp_path, environment, line):
    assert line in run("doctor", cwd=tmp_path, **environment).stdout


def test_in_development_one_signs_in_as_a_sample_user(world):
    users = world.client.get(f"{world.url}/dev/users").json()
    assert [user["email"] for user in users] == ["ada@example.com", "grace@example.com"]
    for body in (b"{", b"null", b'{"email": "nobody@example.com"}', b'{"email": ["ada@example.com"]}'):
        assert world.client.post(f"{world.url}/dev/sign-in", content=body).status_code == 404
