"""GraphQL over server-sent events: the same live updates as by WebSocket, by the same rules."""

import contextlib
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from gateway.app import create_app
from gateway.http.server import HardenedHttpProtocol
from harness.checkout import opened, pay
from harness.gateway import SERVICE, listening, serve
from harness.oidc_provider import AUDIENCE, ISSUER, running_provider
from harness.sockets import opened as connected
from harness.sockets import sibling
from harness.streams import EVENTS, streamed

STATUS = "subscription($id: ID!) { sessionUpdated(id: $id) { status } }"
VIEWER = "subscription { viewerUpdated { id } }"
PRICING = "{ pricing { currency } }"
JSON, GRAPHQL = "application/json", "application/graphql-response+json"
URQL = f"{GRAPHQL}, application/graphql+json, {JSON}, {EVENTS}, multipart/mixed"


class Impatient(HardenedHttpProtocol):
    seconds = 0.4
    answer_seconds = 0.4


@pytest.mark.parametrize(("method", "compiled", "accept"), [("POST", True, URQL), ("GET", False, EVENTS)])
def test_a_checkout_is_followed_from_open_to_paid(shop, method, compiled, accept):
    ada = shop.token(f"ada_by_{method}")
    session = opened(shop, ada, "starter_monthly")
    with (
        sibling(shop, compiled_execution=compiled) as there,
        streamed(there, STATUS, {"id": session["id"]}, ada, method=method, accept=accept) as stream,
    ):
        assert stream.response.headers["content-type"] == f"{EVENTS}; charset=utf-8"
        assert stream.response.headers["cache-control"] == "private, no-store"
        assert stream.response.headers["x-request-id"]
        assert stream.next() == {"sessionUpdated": {"status": "OPEN"}}
        pay(shop, session)
        assert stream.next() == {"sessionUpdated": {"status": "COMPLETE"}}


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (EVENTS, EVENTS),
        (f"{EVENTS}, multipart/mixed", EVENTS),
        (f"{JSON};q=0.5, {EVENTS}", EVENTS),
        (URQL, GRAPHQL),
        (f"{EVENTS}, {JSON}", JSON),
        (f"{EVENTS}, */*", JSON),
        (f"{EVENTS};q=0.9, {JSON}", JSON),
        (f"{EVENTS};q=0, {JSON};q=0.1", JSON),
    ],
)
def test_a_query_is_answered_by_an_event_only_where_nothing_else_is_wanted_as_much(shop, accept, answered):
    plain = shop.graphql(PRICING).json()
    with streamed(shop, PRICING, accept=accept) as stream:
        assert stream.response.headers["content-type"].partition(";")[0] == answered
        if answered == EVENTS:
            assert [stream.receive() for _ in range(3)] == [("next", plain), ("complete", None), None]
        else:
            assert httpx.Response(200, content=stream.response.read()).json() == plain


@pytest.mark.parametrize("query", ["{ nothing }", "{ plans(", "subscription { viewerUpdated { nothing } }"])
def test_what_cannot_run_is_told_by_an_event(shop, query):
    """As the protocol has it: a browser's `EventSource` shows nothing of an answer that is not 200."""
    refused = shop.graphql(query).json()
    with streamed(shop, query) as stream:
        assert [stream.receive() for _ in range(3)] == [("next", refused), ("complete", None), None]


def test_who_may_not_ask_is_told_so_as_everywhere(shop):
    hers = {"id": opened(shop, shop.token("user_ada"), "starter_monthly")["id"]}
    for query, variables, headers, code in (
        (STATUS, hers, None, "NOT_FOUND"),
        (STATUS, hers, shop.token("user_grace"), "NOT_FOUND"),
        (STATUS, {"id": "cs_test_nothing"}, SERVICE, "NOT_FOUND"),
        (VIEWER, None, None, "UNAUTHENTICATED"),
        (VIEWER, None, SERVICE, "FORBIDDEN"),
    ):
        with streamed(shop, query, variables, headers) as stream:
            assert stream.codes() == [code]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer nonsense"}, 401),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://shop.example"}, 200),
    ],
)
def test_who_is_not_let_in_gets_no_stream(shop, headers, status):
    with streamed(shop, VIEWER, None, headers) as stream:
        assert stream.response.status_code == status


def test_a_subscription_to_who_takes_no_events_is_told_the_way(shop):
    assert EVENTS in shop.graphql(VIEWER).json()["errors"][0]["message"]


def test_a_stream_ends_with_its_token_and_with_its_time_and_is_not_complete(shop):
    """A client that has no `complete` knows that it must come back; who comes back with the old token is refused."""
    old = shop.token("user_ada", exp=int(time.time()) - 8)  # clocks may differ by ten seconds
    with streamed(shop, VIEWER, headers=old) as stream:
        assert stream.response.status_code == 200
        assert events_of(stream) <= {"next"}
    with streamed(shop, VIEWER, headers=old) as stream:
        assert stream.response.status_code == 401
    with sibling(shop, websocket_seconds=0.3) as brief, streamed(brief, VIEWER, headers=shop.token("u")) as stream:
        assert events_of(stream) <= {"next"}


def events_of(stream):
    """The kinds of all events up to the end."""
    return {event[0] for event in iter(stream.receive, None)}


def test_streams_and_sockets_of_an_address_are_counted_together_and_requests_as_ever(shop):
    ada = shop.token("user_ada")
    with sibling(shop, websocket_per_address=1, rate_limit_requests="8/hour") as strict:
        with streamed(strict, VIEWER, headers=ada) as first:
            assert first.next()
            with streamed(strict, VIEWER, headers=ada) as second:
                assert second.response.status_code == 429
                assert second.response.headers["retry-after"]
            with pytest.raises(InvalidStatus), connected(strict):
                pass
            with streamed(strict, PRICING) as query:  # which holds no place
                assert query.next()
        strict.eventually(lambda: strict.metrics()["gateway_live_connections",], 0.0)
        with streamed(strict, VIEWER, headers=ada) as third:
            assert third.next(), "the place of the first is free again"
        for _ in range(8):
            shop.client.post(f"{strict.url}/graphql", json={"query": PRICING})
        with streamed(strict, VIEWER, headers=ada) as fourth:
            assert fourth.response.status_code == 429


def test_those_who_wait_for_the_providers_keys_have_their_places_already(shop):
    """The keys are read with the first token: many streams begin meanwhile, and no more than are allowed may stay."""
    with running_provider(slow=True) as provider, ThreadPoolExecutor(2) as pool:
        theirs = {"auth_jwks_url": provider.url, "auth_issuer": ISSUER, "auth_audience": AUDIENCE}
        with sibling(shop, websocket_per_address=1, auth_hs256_secret=None, **theirs) as strict:

            def status(headers):
                with streamed(strict, VIEWER, headers=headers) as stream:
                    return stream.response.status_code

            first = pool.submit(status, provider.sign(by="first", kid="unknown"))
            strict.eventually(lambda: provider.asked > 0)
            second = pool.submit(status, provider.sign())
            with contextlib.suppress(TimeoutError):
                second.result(timeout=0.5)
            provider.answering.set()
            assert (second.result(), first.result()) == (429, 401)
            assert status(provider.sign()) == 200, "who is refused frees the place"


def test_what_is_quiet_is_kept_open_by_comments(shop):
    """For proxies, and for our own server: an answer that goes on is not one that never came."""
    impatient = sibling(shop, {"http": Impatient}, event_stream_ping_seconds=0.1)
    with impatient as there, streamed(there, VIEWER, headers=shop.token("quiet")) as stream:
        lines = stream.response.iter_lines()
        since, pings = time.monotonic(), 0
        while time.monotonic() < since + 3 * Impatient.answer_seconds:
            pings += next(lines) == ":"
        assert pings >= 8


def test_who_does_not_read_is_waited_for_and_then_cut_off(shop):
    """Nothing is made while what was made waits to be read: no more than the connection's own buffers are full."""
    busy = shop.settings.model_copy(update={"event_stream_ping_seconds": 0})  # as fast as they are read
    listener, url = listening()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # of every connection to it
    host, port = url.removeprefix("http://").split(":")
    with serve(create_app(busy), listener, http=Impatient), socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(10)
        deaf.connect((host, int(port)))
        body = b'{"query": "%b"}' % VIEWER.encode()
        sign_in = shop.token("deaf")["Authorization"].encode()
        deaf.sendall(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
            b"Authorization: %b\r\nContent-Length: %d\r\n\r\n%b" % (sign_in, len(body), body)
        )
        live = lambda: shop.metrics()["gateway_live_connections",]  # noqa: E731
        shop.eventually(lambda: live() >= 1.0)
        shop.eventually(live, 0.0)
        received = 0
        try:
            while part := deaf.recv(65536):
                received += len(part)
        except ConnectionResetError:
            pass
        assert 0 < received < 256 * 1024


def test_at_a_shutdown_every_stream_ends_at_once_and_nothing_is_an_error(shop, caplog):
    caplog.set_level(logging.INFO)
    with sibling(shop) as other:
        streams = [streamed(other, VIEWER, headers=shop.token("user_stays")) for _ in range(5)]
        entered = [each.__enter__() for each in streams]
        assert all(each.next() for each in entered)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    for each, manager in zip(entered, streams, strict=True):
        with pytest.raises(httpx.RemoteProtocolError):  # the end of a connection within a response
            each.receive()
        manager.__exit__(None, None, None)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
