"""Every memory that a client can reach through GraphQL and its sign-in, filled with keys that never come twice.

`tests/graphql/execution/test_document_cache.py` proves what a document takes; here all memories are filled as they are
in production, each far beyond its bound, and the whole has to stay within what the bounds add up to.
"""

import contextlib
import gc
import os
import time
from hashlib import sha256
from pathlib import Path

import jwt
import pytest

from gateway.auth.authenticator import Authenticator, TokenCache
from gateway.auth.principal import Principal
from gateway.billing import money
from gateway.billing.languages import CHECKOUT_LANGUAGES, stripe_language
from gateway.errors import Unauthenticated
from gateway.graphql.base import scalars
from gateway.graphql.execution.documents import Documents
from gateway.graphql.execution.kept_json import KeptJson
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.graphql.execution.request import BadRequest, GraphQLRequest
from gateway.graphql.schema import core
from gateway.graphql.transport.negotiation import _is_json, accepted, prefers_html
from gateway.http.repeated import Parsed, RepeatedRequests
from gateway.settings import Settings
from harness.gateway import SIGN_IN_SECRET
from harness.memory import traced

MEGABYTE = 1024 * 1024
KEYS = 10_000
DOCUMENTS = 250  # a few megabytes, by their own count


def refused_documents(size=MEGABYTE):
    documents = Documents(core, PersistedDocuments(Settings.load()), introspection=False, max_cache_bytes=size)
    return lambda n: documents.prepare(GraphQLRequest(f"{{a{n}}}", None, {}))


def valid_documents(size=MEGABYTE):
    documents = Documents(core, PersistedDocuments(Settings.load()), introspection=False, max_cache_bytes=size)
    return lambda n: documents.prepare(GraphQLRequest(f"{{ plans {{ nodes {{ a{n}: id }} }} }}", None, {}))


def learned_documents():
    persisted = PersistedDocuments(Settings.load(), max_learned_bytes=MEGABYTE)

    def learn(n):
        text = f"{{ __typename }} # {n} {'x' * 1000}"
        persisted.text_of(GraphQLRequest(text, None, {}, sha256(text.encode()).hexdigest()))

    return learn


def unknown_names():
    documents = Documents(core, PersistedDocuments(Settings.load()), introspection=False)
    return lambda n: documents.prepare(GraphQLRequest(None, None, {}, f"{n}" + "x" * 10_000))


def verified_tokens():
    cache, keys = TokenCache(MEGABYTE), ()
    ends = int(time.time()) + 600
    return lambda n: cache.keep(f"token {n}", Principal(subject=f"user {n} " + "🜚" * 190, expires_at=ends), keys)


def other_keys_with_each_token():
    cache = TokenCache(MEGABYTE)
    return lambda n: cache.keep(f"token {n}", Principal(subject=f"user {n}"), (n,))


def shared_objects():
    kept = KeptJson(MEGABYTE)
    return lambda n: kept.keep((n, n + KEYS), {"id": f"price_{n}"})


def repeated_requests():
    known = RepeatedRequests()

    def keep(n):
        headers = [(b"name-%d" % place, b"%d" % n + b"x" * 100) for place in range(10)]
        segment = b"".join(b"%b: %b" % header for header in headers)
        known.keep(segment, Parsed("GET", b"/%d" % n, headers, b"", {}))
        assert known.find(segment)

    return keep


def amounts():
    return lambda n: scalars.of(n, "usd")


def languages():
    def write(n):
        money.formatted(n, "usd", f"de-x-{n}" + "y" * 5000)
        stripe_language(f"tag-{n}", CHECKOUT_LANGUAGES)

    return write


def currencies():
    codes = [a + b + c for a in "abcdefghijklmnopqrst" for b in "abcdefghijkl" for c in "abcdefghijklm"]
    return lambda n: money.formatted(100, codes[n % len(codes)], ("en", "de", "ja")[n % 3])


def headers():
    def negotiate(n):
        _is_json(b"application/json; x=%d" % n + b"y" * 10_000)
        _is_json(b"text/%d" % n)
        prefers_html(b"text/%d" % n)
        for size in (100, 10_000):
            with contextlib.suppress(BadRequest):
                accepted(b"text/%d, */*;x=" % n + b"y" * size)

    return negotiate


FILLS = {
    make.__name__.replace("_", " "): make
    for make in (
        *(refused_documents, valid_documents, learned_documents, unknown_names, verified_tokens),
        *(other_keys_with_each_token, shared_objects, repeated_requests, amounts, languages, currencies, headers),
    )
}
BOUNDS = {"amounts": 5, "languages": 5, "currencies": 5}
"""Megabytes that a memory may take where it is not given one."""


def keys_of(name):
    """How many keys go beyond the bound."""
    return DOCUMENTS if name in {"refused documents", "valid documents"} else KEYS


@pytest.mark.parametrize("name", FILLS)
def test_a_memory_stays_within_its_bound_however_many_keys_come(name):
    use = FILLS[name]()
    with traced() as held:
        use(0)
        before = held()
        for number in range(1, keys_of(name)):
            use(number)
        grown = held() - before
    assert grown < BOUNDS.get(name, 1.25) * MEGABYTE, f"{grown / MEGABYTE:.1f} MB"


async def test_a_forged_token_leaves_nothing():
    authenticator = Authenticator(Settings.load(auth_hs256_secret=SIGN_IN_SECRET))
    tokens = [jwt.encode({"sub": f"user {n}", "exp": 1}, SIGN_IN_SECRET[::-1], algorithm="HS256") for n in range(300)]

    async def try_all():
        for token in tokens:
            with pytest.raises(Unauthenticated):
                await authenticator.authenticate(f"Bearer {token}")

    await try_all()
    with traced() as held:
        before = held()
        await try_all()
        grown = held() - before
    assert grown < 100_000


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_million_keys_leave_less_than_sixty_megabytes():
    """All memories as large as in production: a million keys in all, and 5,000 documents of each kind."""
    uses = {n: make(8 * MEGABYTE) if keys_of(n) == DOCUMENTS else make() for n, make in FILLS.items()}
    for use in uses.values():
        use(0)
    gc.collect()
    before = resident()
    for name, use in uses.items():
        for number in range(1, 5000 if keys_of(name) == DOCUMENTS else 125_000):
            use(number)
    gc.collect()
    assert resident() - before < 60 * MEGABYTE


def resident():
    """The memory of this process, in bytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
