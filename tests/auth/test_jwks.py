"""How old a provider's keys may be, and what an empty set says."""

import asyncio
from types import SimpleNamespace

import jwt
import pytest

from gateway.auth.authenticator import LEEWAY_SECONDS, Authenticator
from gateway.auth.jwks import KeySet
from gateway.auth.tokens import Tokens, Trust
from gateway.errors import Unauthenticated
from gateway.settings import Settings
from harness.oidc_provider import AUDIENCE, ISSUER, running_provider
from harness.waiting import eventually_async


@pytest.fixture
def provider():
    with running_provider() as running:
        yield running


@pytest.fixture
def clock():
    """The time of the key sets, which stands still until a test moves it."""
    return SimpleNamespace(now=1000.0)


@pytest.fixture
async def keys(provider, clock):
    """The provider's keys: fresh for 600 seconds, kept for a day."""
    made = KeySet(provider.url, 0, fresh_seconds=600, max_age_seconds=86_400, clock=lambda: clock.now)
    yield made
    await made.close()


def signed_in(provider, keys):
    """An authenticator over a key set."""
    settings = Settings.load(auth_jwks_url=provider.url, auth_issuer=ISSUER, auth_audience=AUDIENCE)
    return Authenticator(settings, tokens=Tokens(Trust.of_users(settings), LEEWAY_SECONDS, keys))


async def refused(authenticator, header):
    """Whether a token is refused."""
    try:
        await authenticator.authenticate(header)
    except Unauthenticated:
        return True
    return False


async def test_an_idle_gateway_reads_the_keys_before_it_proves_the_first_token(provider, keys, clock):
    authenticator = signed_in(provider, keys)
    provider.add("withdrawn")
    header, other = (provider.sign("withdrawn", sub=name)["Authorization"] for name in ("one", "two"))
    assert not await refused(authenticator, header)
    provider.keys.pop()
    clock.now += 599
    assert not await refused(authenticator, other), "keys are read once in ten minutes"
    clock.now += 62
    assert await refused(authenticator, other), "it was proved with a key that was withdrawn"
    assert await refused(authenticator, header), "it was remembered although its key was withdrawn"


async def test_a_busy_gateway_reads_the_keys_beside_its_requests(provider, keys, clock):
    await keys.find("first", "ES256")
    before, asked = keys.known, provider.asked
    clock.now += 601
    assert await keys.current() is before, "a request waited for the provider"

    async def is_read():
        return keys.known is not before

    await eventually_async(is_read)
    assert provider.asked == asked + 1


@pytest.mark.parametrize("published", [[], [7, {}], [{"kty": "oct", "kid": "first", "k": "c" * 43}]])
async def test_a_set_without_a_usable_key_withdraws_all_keys(provider, keys, clock, published):
    authenticator = signed_in(provider, keys)
    header = provider.sign()["Authorization"]
    assert not await refused(authenticator, header)
    there, provider.keys = provider.keys, published
    clock.now += 1000
    with pytest.raises(Unauthenticated, match="this token is not valid"):
        await authenticator.authenticate(header)
    provider.keys = there
    assert not await refused(authenticator, header), "a provider that has its keys again is believed again"


async def test_keys_are_kept_through_an_outage_and_not_for_ever(provider, keys, clock):
    authenticator = signed_in(provider, keys)
    header = provider.sign()["Authorization"]
    assert not await refused(authenticator, header)
    provider.down = True
    clock.now += 86_399
    assert not await refused(authenticator, header), "an outage of the provider is survived"
    clock.now += 2
    with pytest.raises(Unauthenticated, match="the sign-in provider's keys cannot be read now; try again"):
        await authenticator.authenticate(header)
    assert keys.known is None
    provider.down = False
    assert not await refused(authenticator, header)


async def test_an_outage_makes_no_request_wait_after_the_first(provider, keys, clock):
    await keys.find("first", "ES256")
    provider.down = True
    clock.now += 3600
    asked = provider.asked
    await keys.current()
    assert provider.asked == asked + 1, "the gateway was idle, so that the first request waits"
    known = keys.known
    assert await keys.current() is known
    assert provider.asked == asked + 1, "the second one does not wait for another attempt"


async def test_who_gives_up_waiting_does_not_keep_others_from_reading_the_keys(provider, clock):
    keys = KeySet(provider.url, 30, clock=lambda: clock.now)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await keys.find("first", "ES256")
    assert await keys.find("first", "ES256"), "it had to wait for the pause after an attempt that was given up"
    assert provider.asked == 1
    await keys.close()


async def test_a_provider_that_was_never_read_is_not_known(provider, keys):
    provider.down = True
    assert (keys.known, await keys.current()) == (None, None)
    with pytest.raises(jwt.PyJWKClientConnectionError):
        await keys.find("first", "ES256")
