"""Public answers from memory: always the present ones, nobody else's; counted, named, and told to other caches."""

import asyncio
import json
import re
import socket
import threading
import time
from functools import partial
from itertools import product as every
from urllib.parse import urlencode

import httpx
import orjson
import pytest
import strawberry
from graphql import parse
from prometheus_client import REGISTRY

from gateway.auth.authenticator import Authenticator
from gateway.billing.catalog.service import Catalog
from gateway.billing.catalog.shown import Shown
from gateway.billing.pagination import encode_cursor
from gateway.graphql.base.authorization import FIELD_ACCESS, FieldAccess
from gateway.graphql.execution.cacheability import is_cacheable
from gateway.graphql.transport.negotiation import Rendered
from gateway.graphql.transport.response_cache import MAX_BYTES, ResponseCache
from gateway.graphql.transport.throttle import Throttle
from gateway.http.fast_path import FastRoute
from gateway.http.rate_limit import RateLimiter
from gateway.http.request import Request
from gateway.runtime import compose
from harness.databases import both_databases
from harness.gateway import SERVICE, make_world
from harness.memory import least, traced

PRICING = "{ pricing { currency products { product { name } plans { id amount { amount currency } } } } }"
PRODUCT = "query($id: ID!) { product(id: $id) { name } }"
PAGE = {"Origin": "https://shop.example"}
SHARED, PRIVATE = "public, max-age=0, must-revalidate", "private, no-store"


@pytest.fixture(scope="module")
def shop(new_sqlite):
    """A world with the sample catalogue, for tests that only read."""
    with make_world(new_sqlite()) as world:
        before = hits(world)
        world.eventually(lambda: get(world, "{ pricing { asOf } }") and hits(world) > before)  # it hears the others
        yield world


def hits(world):
    """How many requests were answered from memory so far."""
    text = world.client.get(f"{world.url}/metrics").text
    return int(float(re.search(r'gateway_cache_total\{cache="answers",result="hit"\} (\S+)', text)[1]))


def test_a_start_reads_the_catalogue_once(new_sqlite):
    """Not before it hears the others, who may have changed it meanwhile."""
    misses = partial(REGISTRY.get_sample_value, "gateway_cache_total", {"cache": "catalog", "result": "miss"})
    before = misses() or 0
    with make_world(new_sqlite(), fill=False) as world:
        assert get(world, "{ pricing { asOf } }").json()["data"]
        assert misses() == before + 1


def get(world, query, headers=None, **parameters):
    return world.client.get(f"{world.url}/graphql", params={"query": query, **parameters}, headers=headers)


@pytest.mark.parametrize("ask", [lambda *args: args[0].graphql(args[1], None, args[2]), get], ids=["POST", "GET"])
def test_a_repeated_public_query_is_answered_from_memory_under_an_id_of_its_own(shop, ask):
    first = ask(shop, PRICING, PAGE)
    before = hits(shop)
    answers = [ask(shop, PRICING, PAGE) for _ in range(3)]

    assert hits(shop) == before + 3
    assert {answer.content for answer in answers} == {first.content}
    ids = {answer.headers["x-request-id"] for answer in (first, *answers)}
    assert len(ids) == 4
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    for answer in answers:
        differing = {"x-request-id", "date"}
        assert {each for each in answer.headers.items() if each[0] not in differing} == {
            each for each in first.headers.items() if each[0] not in differing
        }


@pytest.mark.parametrize(
    "query",
    [
        "{ viewer { id } }",
        "{ pricing { asOf } viewer { id } }",
        "{ pricing { asOf } ...Mine } fragment Mine on Query { viewer { id } }",
        '{ session(id: "cs_test_nothing") { id } }',
        "{ __schema { queryType { name } } }",
        '{ pricing(currency: "XAF", strict: true) { asOf } }',
        '{ good: pricing { asOf } bad: plans(first: 0) { nodes { id } } plan(id: "none") { id } }',
        "{ nothing }",
        "query A { pricing { asOf } } query B { pricing { asOf } }",
        'mutation { expireCheckoutSession(input: {id: "cs_test_nothing"}) { userErrors { code } } }',
    ],
)
def test_what_is_personal_or_went_wrong_is_kept_by_nobody(shop, query):
    before = hits(shop)
    for _ in range(3):
        assert shop.graphql(query).headers["cache-control"] == PRIVATE
        assert get(shop, query).headers["cache-control"] == PRIVATE
    assert hits(shop) == before


@pytest.mark.parametrize("who", ["user", "service", "cookie"])
def test_whoever_may_be_somebody_neither_gets_nor_makes_a_kept_answer(shop, who):
    headers = {"user": shop.token("ada"), "service": SERVICE, "cookie": {"Cookie": "visited=1"}}[who]
    query = f"query {who.title()} {{ pricing {{ asOf }} }}"
    before = hits(shop)
    for ask in (lambda more: get(shop, query, more), lambda more: shop.graphql(query, None, more)):
        assert [ask(headers).headers["cache-control"] for _ in range(3)] == [PRIVATE] * 3
        assert ask({}).json() == ask(headers).json()
    assert hits(shop) == before


def test_a_token_that_proves_nothing_is_refused_although_the_answer_is_there(shop):
    assert get(shop, PRICING).status_code == get(shop, PRICING).status_code == 200
    refused = get(shop, PRICING, {"Authorization": "Bearer nonsense"})
    assert refused.status_code == 401
    assert refused.headers["cache-control"] == PRIVATE


def test_currencies_operations_media_types_and_origins_never_mix(shop):
    document = """query A($currency: Currency, $in: String! = "en") { pricing(currency: $currency) { currency
        products { plans { amount { formatted(locale: $in) } } } } }
        query B($currency: Currency) { plans(currency: $currency, first: 1) { nodes { amount { currency } } } }"""
    names = ("A", "B")
    variables = ({"currency": "USD"}, {"currency": "EUR"}, {})
    accepted = ("application/json", "application/graphql-response+json", "text/html;q=0.1, */*")
    origins = (None, "https://shop.example", "https://evil.example")
    asked = list(every(names, variables, accepted, origins, ("GET", "POST")))

    def ask(name, variable, accept, origin, method, **more):
        headers = {"Accept": accept, **({"Origin": origin} if origin else {}), **more}
        sent = {"query": document, "operationName": name, "variables": variable}
        if method == "POST":
            return shop.client.post(f"{shop.url}/graphql", json=sent, headers=headers)
        return get(shop, document, headers, operationName=name, variables=json.dumps(variable))

    def format_errors(answer):
        cross = {name: value for name, value in answer.headers.items() if name.startswith("access-control")}
        return answer.status_code, answer.content, answer.headers["content-type"], cross

    made = [format_errors(ask(*each, Cookie="visited=1")) for each in asked]
    assert len({(body, kind, tuple(cross.items())) for _, body, kind, cross in made}) == 16
    before = hits(shop)
    for _ in range(2):
        assert [format_errors(ask(*each)) for each in asked] == made
    # what is kept depends on no origin: the edge adds the headers of CORS
    assert hits(shop) == before + 2 * len(asked) - len(asked) // len(origins)


def test_other_caches_keep_a_get_and_ask_each_time_whether_it_is_still_good(shop):
    answer = get(shop, PRICING, PAGE)
    tag = answer.headers["etag"]
    assert answer.headers["cache-control"] == SHARED
    assert {each.strip() for each in answer.headers["vary"].split(",")} == {"Accept", "Authorization", "Origin"}
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        unmodified = get(shop, PRICING, {**PAGE, "If-None-Match": known})
        assert unmodified.status_code == 304
        assert not unmodified.content
        for name in ("etag", "cache-control", "vary", "access-control-allow-origin"):
            assert unmodified.headers[name] == answer.headers[name]
        assert unmodified.headers["x-request-id"]
    assert get(shop, PRICING, {**PAGE, "If-None-Match": '"other"'}).content == answer.content
    other = get(shop, PRICING, {**PAGE, "Accept": "application/graphql-response+json"})
    assert (other.content, other.headers["etag"] != tag) == (answer.content, True)


def test_the_first_to_ask_after_a_start_may_have_the_answer_already(shop):
    query = "query First { pricing { asOf } }"
    tag = get(shop, query).headers["etag"]
    with shop.twin() as fresh:
        assert get(fresh, query, {"If-None-Match": tag}).status_code == 304
        assert get(fresh, query, {"If-None-Match": '"old"'}).headers["etag"] == tag


def test_a_post_is_kept_by_nobody_else(shop):
    answers = [shop.graphql(PRICING, None, {"If-None-Match": "*"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert not any("etag" in answer.headers for answer in answers)


def test_a_body_that_comes_in_parts_is_read_to_its_end(shop):
    body = json.dumps({"query": PRICING}).encode()

    def parts():
        for start in range(0, len(body), 20):
            yield body[start : start + 20]

    headers = {"Content-Type": "application/json"}
    answer = shop.client.post(f"{shop.url}/graphql", content=parts(), headers=headers)
    assert answer.json()["data"] == shop.data(PRICING)


def raw(shop, *requests):
    """What is answered to requests that come in one packet: a status, the headers and the body of each."""
    with socket.create_connection((httpx.URL(shop.url).host, httpx.URL(shop.url).port), timeout=10) as line:
        line.sendall(b"".join(requests))
        with line.makefile("rb") as incoming:
            for _ in requests:
                status = int(incoming.readline().split()[1])
                lines = [part.rstrip(b"\r\n") for part in iter(incoming.readline, b"\r\n")]
                headers = dict(part.lower().split(b": ", 1) for part in lines)
                assert len(headers) == len(lines)
                yield status, headers, incoming.read(int(headers.get(b"content-length", 0)))
            if b"close" in requests[-1]:
                assert incoming.read() == b""


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_answer_from_memory_is_as_whole_as_any_other_however_the_connection_goes_on(shop, version):
    target = f"/graphql?{urlencode({'query': PRICING})}"
    first = shop.client.get(f"{shop.url}{target}", headers=PAGE)
    asked = f"GET {target} HTTP/{version}\r\nHost: shop\r\nOrigin: {PAGE['Origin']}\r\nAccept: */*\r\n"
    known = f"If-None-Match: {first.headers['etag']}\r\n"
    more = [f"{asked}\r\n", f"{asked}{known}\r\n", f"{asked}\r\n"] if version == "1.1" else []
    requests = [each.encode() for each in (*more, f"{asked}Connection: close\r\n\r\n")]
    next(raw(shop, requests[-1]))  # under the key that these share
    before = hits(shop)
    answers = list(raw(shop, *requests))
    assert hits(shop) == before + len(requests)
    assert [status for status, *_ in answers] == [200, 304, 200, 200][-len(requests) :]
    for status, headers, body in answers:
        assert body == (first.content if status == 200 else b"")
        assert headers[b"etag"].decode() == first.headers["etag"]
        assert b"date" in headers
        if status == 200:
            names = {name.decode() for name in headers} - {"connection"}
            assert names == set(first.headers)
            same = names - {"date", "x-request-id"}
            assert {name: headers[name.encode()].decode() for name in same} == {
                name: first.headers[name].lower() for name in same
            }
    assert answers[-1][1][b"connection"] == b"close"


def test_answers_from_memory_count_as_requests_of_their_address(sqlite_url):
    with make_world(sqlite_url, rate_limit_requests="5/minute", trusted_proxies="127.0.0.1") as world:
        asks = (lambda more: world.graphql(PRICING, None, more), lambda more: get(world, PRICING, more))
        for number, ask in enumerate(asks):
            got = [ask({**PAGE, "X-Forwarded-For": f"203.0.113.{number}"}) for _ in range(7)]
            assert [answer.status_code for answer in got] == [200] * 5 + [429] * 2
            assert 0 < int(got[-1].headers["retry-after"]) <= 60
            assert got[-1].headers["access-control-allow-origin"] == PAGE["Origin"]
            assert got[-1].headers["cache-control"] == PRIVATE
            assert ask({**PAGE, "X-Forwarded-For": "203.0.113.99"}).status_code == 200


@both_databases
def test_a_change_is_in_the_next_answer_here_and_promptly_in_that_of_another_process(world):
    tea = world.stripe("POST", "/v1/products", name="Name 0")
    world.eventually(lambda: world.data(PRODUCT, tea)["product"], {"name": "Name 0"})
    with world.twin() as twin:

        def seen(where):
            answer = get(where, PRODUCT, variables=json.dumps({"id": tea["id"]}))
            return answer.json()["data"]["product"]["name"], answer.headers["etag"]

        tags = {seen(where)[1] for where in (world, twin) for _ in range(3)}
        for number in range(1, 4):
            event = world.event("product.updated", {**tea, "name": f"Name {number}"}, created=tea["created"] + number)
            assert world.deliver(event).status_code == 200
            name, tag = seen(world)
            assert (name, tag in tags) == (f"Name {number}", False)
            twin.eventually(lambda: seen(twin)[0], f"Name {number}", seconds=3)
            assert [where.data(PRODUCT, tea)["product"]["name"] for where in (world, twin)] == [f"Name {number}"] * 2
            tags |= {seen(twin)[1]}
        assert len(tags) == 4


def test_answers_that_do_not_show_what_has_changed_stay(world):
    listed = world.data("{ products { nodes { id plans { id } } } pricing { currency } }")
    ids = [each["id"] for each in listed["products"]["nodes"]]
    plan_of = {each["id"]: each["plans"][0]["id"] for each in listed["products"]["nodes"] if each["plans"]}
    changed, other = [name for name in ids if name in plan_of][:2]
    fields = "nodes { id } pageInfo { hasNextPage }"
    at = f'after: "{encode_cursor(changed)}"'
    queries = {
        "the product": f'{{ product(id: "{changed}") {{ name }} }}',
        "its plan": f'{{ plan(id: "{plan_of[changed]}") {{ nickname product {{ name }} }} }}',
        "its page": f"{{ products(first: {ids.index(changed) + 1}) {{ {fields} }} }}",
        "its plans": f'{{ plans(productId: "{changed}") {{ {fields} }} }}',
        "everything": "{ pricing { currency } }",
        "another product": f'{{ product(id: "{other}") {{ name }} }}',
        "its other plan": f'{{ plan(id: "{plan_of[other]}") {{ nickname }} }}',
        "none": '{ product(id: "none") { name } plan(id: "none") { id } }',
        "another page": f"{{ products({at}) {{ {fields} }} }}",
        "other plans": f'{{ plans(productId: "{other}") {{ {fields} }} }}',
        "both": f'{{ a: product(id: "{changed}") {{ name }} b: product(id: "{other}") {{ name }} }}',
    }
    public = [name.removeprefix("Query.") for name, access in FIELD_ACCESS.items() if access is FieldAccess.PUBLIC]
    assert [name for name in public if not any(re.match(rf"{{ {name}\b", each) for each in queries.values())] == []
    for query in queries.values():
        assert get(world, query).headers["cache-control"] == SHARED
    row = world.stripe("GET", f"/v1/products/{changed}")
    event = world.event("product.updated", {**row, "description": "Another"}, created=row["created"] + 60)
    assert world.deliver(event).status_code == 200
    world.data(PRICING)  # the first one reads what has changed

    kept = set()
    for name, query in queries.items():
        before = hits(world)
        get(world, query)
        kept |= {name} if hits(world) > before else set()
    assert kept == {"another product", "its other plan", "none", "another page", "other plans"}


@both_databases
def test_while_changes_race_with_readers_nobody_sees_an_older_answer_than_was_acknowledged(world):
    tea = world.stripe("POST", "/v1/products", name="0")
    world.eventually(lambda: world.data(PRODUCT, tea)["product"], {"name": "0"})
    acknowledged, done, seen, wrong = 0, threading.Event(), set(), []

    def read(method):
        with httpx.Client(timeout=20) as client:
            newest = 0
            while not done.is_set():
                known = acknowledged
                sent = {"query": PRODUCT, "variables": {"id": tea["id"]}}
                if method == "GET":
                    sent["variables"] = json.dumps(sent["variables"])
                    answer = client.get(f"{world.url}/graphql", params=sent)
                else:
                    answer = client.post(f"{world.url}/graphql", json=sent)
                name = int(answer.json()["data"]["product"]["name"])
                seen.add(name)
                if name < max(known, newest):
                    wrong.append((name, known, newest))
                newest = max(newest, name)

    readers = [threading.Thread(target=read, args=(method,)) for method in ("GET", "POST", "GET")]
    for reader in readers:
        reader.start()
    try:
        for number in range(1, 61):
            event = world.event("product.updated", {**tea, "name": str(number)}, created=tea["created"] + number)
            assert world.deliver(event).status_code == 200
            acknowledged = number
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert len(seen) > 5


def test_a_process_that_cannot_hear_the_others_looks_before_it_answers(world):
    tea = world.stripe("POST", "/v1/products", name="Before")
    world.eventually(lambda: world.data(PRODUCT, tea)["product"], {"name": "Before"})

    def rename(name):
        """What another process would do whose message does not arrive."""
        world._execute("UPDATE product SET name = :name WHERE id = :id", {"name": name, "id": tea["id"]})
        world._execute("UPDATE catalog_version SET version = version + 1")

    def shows(name):
        """Whether the next answer shows what another process did without a word."""
        rename(name)
        return world.data(PRODUCT, tea)["product"] == {"name": name}

    with world.renamed("notification", "notification_away"):
        # one may be right by chance: what was heard counts for 45 ms
        world.eventually(lambda: all(shows(f"Deaf {time.monotonic()}") for _ in range(20)), seconds=5)
        before = hits(world)
        for name in ("One", "Two", "Three"):
            assert shows(name)
        assert hits(world) == before
        assert world.data(PRODUCT, tea)["product"] == {"name": "Three"}
        assert hits(world) == before + 1  # it has looked, and nothing has changed
    world.data(PRODUCT, tea)
    world.eventually(lambda: world.data(PRODUCT, tea) and hits(world) > before + 1, seconds=5)


def cached(shop, application, catalog, **options):
    """A cache in front of an application that is a function."""
    limiter = RateLimiter(shop.settings)
    return ResponseCache(application, catalog, limiter, Throttle(limiter, Authenticator(shop.settings)), **options)


async def test_a_flood_takes_no_more_memory_than_is_granted_and_leaves_what_is_in_use(shop):
    asked, size = [], 100_000

    async def application(request):
        asked.append(request.query)
        body = b"x" * (MAX_BYTES // 10 if b"huge" in request.query else size)
        shown = [Shown(lambda snapshot: snapshot, catalog.current.mark)]
        return Rendered(200, [(b"content-type", b"application/json"), (b"x-request-id", b"0" * 32)], body, shown)

    database = compose(shop.settings).database
    catalog = Catalog(shop.settings, database)
    await catalog.snapshot()
    cache = cached(shop, application, catalog)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(FastRoute(cache)), base_url="http://edge") as client:

        async def made(query):
            """Whether the application had to answer."""
            before = len(asked)
            assert (await client.get("/graphql", params={"query": query})).status_code == 200
            return len(asked) > before

        assert [await made("popular"), await made("popular")] == [True, False]
        assert [await made("huge"), await made("huge")] == [True, True]
        flood = MAX_BYTES // size * 2
        for number in range(flood):
            assert await made(f"flood {number}")
            assert not await made("popular")
        kept = sum([not await made(f"flood {number}") for number in reversed(range(flood))])
        assert MAX_BYTES // 2 < kept * size <= MAX_BYTES
    await database.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_many_small_responses_take_the_memory_that_is_counted(shop, method):
    async def application(_request):
        headers = [(b"content-type", b"application/json"), (b"content-length", b"200")]
        shown = [Shown(lambda snapshot: snapshot, catalog.current.mark)]
        return Rendered(200, headers, orjson.dumps("x" * 198), shown)

    async def ask(cache, number):
        asked = b"query=%d&filling=%b" % (number, b"y" * 100)
        target, body = (b"/graphql?" + asked, b"") if method == "GET" else (b"/graphql", asked)
        headers = [(b"accept", bytes(bytearray(b"*/*")))]
        for more in ([], [], [(b"if-none-match", b"*")]):  # as the server sends it, which the response remembers
            request = Request(method, target, headers + more, body=body, client=None, scheme="http")
            answered = asyncio.get_running_loop().create_future()
            assert cache.take(request, lambda response, answered=answered: answered.set_result(response.head))
            await answered

    database = compose(shop.settings).database
    catalog = Catalog(shop.settings, database)
    await catalog.snapshot()

    async def filled():
        with traced() as held:
            cache = cached(shop, application, catalog, max_bytes=4_000_000)
            for number in range(3000):
                await ask(cache, number)
            return held()

    assert 1_000_000 < await least(filled, enough=4_000_000) < 4_000_000
    await database.close()


def test_a_field_is_private_until_it_is_said_otherwise():
    @strawberry.type
    class Thing:
        plain: int

        @strawberry.field
        def computed(self, times: int = 2) -> int:
            return self.plain * times

        @strawberry.field
        def personal(self, info: strawberry.Info) -> int:
            return info.context.subject

    @strawberry.type
    class Query:
        thing: Thing
        other: Thing

    access = {"Query.thing": FieldAccess.PUBLIC, "Query.other": FieldAccess.ANYONE}
    core = strawberry.Schema(query=Query)._schema
    said = {
        "{ thing { plain } }": True,
        "{ __typename thing { __typename a: plain computed(times: 3) } }": True,
        "{ thing { ...F } } fragment F on Thing { plain ... on Thing { computed } }": True,
        "{ thing { personal } }": False,
        "{ thing { ...F } } fragment F on Thing { ... { personal } }": False,
        "{ thing { plain } other { plain } }": False,
        "{ thing { plain } __schema { description } }": False,
        "query A { thing { plain } } query B { other { plain } }": False,
    }
    assert {query: is_cacheable(core, parse(query), access) for query in said} == said


def test_what_a_plan_is_to_guests_is_kept_and_what_it_is_to_a_user_is_not(shop):
    query = "{ pricing { products { plans { viewer { action } } } } }"
    me = shop.token("ann")
    for asked in (None, me, None):
        answer = get(shop, query, asked)
        products = answer.json()["data"]["pricing"]["products"]
        found = {bool(plan["viewer"]) for product in products for plan in product["plans"]}
        assert (found, answer.headers["cache-control"]) == ({asked is me}, PRIVATE if asked else SHARED)
    before = hits(shop)
    get(shop, query)
    get(shop, query, me)
    assert hits(shop) == before + 1
