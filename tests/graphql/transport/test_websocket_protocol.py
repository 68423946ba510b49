"""The WebSocket under the hands of clients that break its rules: every one ends with the code that it has for it."""

import json
import socket
import time
from collections import deque
from itertools import count

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness.gateway import SERVICE
from harness.sockets import PROTOCOL, opened, sibling, signed_in

PRICING = "{ pricing { currency } }"
WATCH = "subscription { viewerUpdated { id } }"
INIT = {"type": "connection_init"}


def subscribe(id="1", query=PRICING, **payload):
    return {"id": id, "type": "subscribe", "payload": {"query": query, **payload}}


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        ([subscribe()], 4401, "Unauthorized"),
        ([INIT, INIT], 4429, "Too many initialisation requests"),
        ([INIT, subscribe(query=WATCH), subscribe(query=WATCH)], 4409, "Subscriber for 1 already exists"),
        ([INIT, subscribe("é" * 999, WATCH), subscribe("é" * 999, WATCH)], 4409, "Subscriber for éé"),
        (["no JSON"], 4400, "Invalid message"),
        ([""], 4400, "Invalid message"),
        (["[" * 90_000], 4400, "Invalid message"),
        ([b'{"type": "ping"}'], 4400, "Invalid message"),
        ([[INIT]], 4400, "Invalid message"),
        (["null"], 4400, "Invalid message"),
        ([{"payload": {}}], 4400, "Invalid message"),
        ([{"type": "start"}], 4400, "Invalid message"),
        ([{"type": ["ping"]}], 4400, "Invalid message"),
        ([{"type": "connection_ack"}], 4400, "Invalid message"),
        ([{"type": "connection_init", "payload": "Bearer x"}], 4400, "Invalid message"),
        ([{"type": "connection_init", "payload": {"Authorization": 7}}], 4400, "Invalid message"),
        ([INIT, {"type": "subscribe", "payload": {"query": PRICING}}], 4400, "Invalid message"),
        ([INIT, subscribe(7)], 4400, "Invalid message"),
        ([INIT, subscribe("")], 4400, "Invalid message"),
        ([INIT, {"type": "subscribe", "id": "1", "payload": PRICING}], 4400, "Invalid message"),
        ([INIT, {"type": "subscribe", "id": "1", "payload": {}}], 4400, "Invalid message"),
        ([INIT, subscribe(query=7)], 4400, "Invalid message"),
        ([INIT, subscribe(variables=[1])], 4400, "Invalid message"),
        ([INIT, subscribe(operationName=[1])], 4400, "Invalid message"),
        ([INIT, {"type": "complete"}], 4400, "Invalid message"),
        ([" " * 102_401], 1009, ""),
        ([{"type": "connection_init", "payload": {"Authorization": "Basic x"}}], 4403, "Forbidden: the Authorization"),
        ([{"type": "connection_init", "payload": {"authorization": "Bearer x"}}], 4403, "Forbidden: this token is"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, list) else "",
)
def test_what_breaks_the_protocol_ends_the_connection_with_its_code(shop, messages, code, reason):
    watcher = shop.token("user_ada")
    with opened(shop) as socket:
        for message in messages:
            socket.send({**message, "payload": watcher} if message == INIT else message)
        ended, why = socket.closed()
        assert (ended, why[: len(reason)]) == (code, reason)
        assert len(why.encode()) <= 123


def test_an_expired_token_is_told_from_a_forged_one(shop):
    for headers, reason in (
        (shop.token("user_ada", exp=int(time.time()) - 60), "Forbidden: the token has expired; sign in again"),
        ({"Authorization": shop.token("user_ada")["Authorization"][:-9] + "AAAAAAAAA"}, "Forbidden: this token is"),
        ({"Authorization": "Bearer a.b.c"}, "Forbidden: this token is"),
    ):
        with opened(shop) as socket:
            socket.send({"type": "connection_init", "payload": headers})
            code, why = socket.closed()
            assert (code, why[: len(reason)]) == (4403, reason)


@pytest.mark.parametrize("offered", [None, ["graphql-ws"], ["soap"]])
def test_only_this_subprotocol_is_spoken(shop, offered):
    with opened(shop, subprotocols=offered) as socket:
        assert socket.closed()[0] == 4406


def test_of_several_subprotocols_ours_is_chosen(shop):
    with opened(shop, subprotocols=["graphql-ws", PROTOCOL]) as socket:
        assert socket.connection.subprotocol == PROTOCOL


@pytest.mark.parametrize("origin", ["https://shop.example", "own", None])
def test_pages_of_an_allowed_origin_may_connect_and_so_may_what_is_no_page(shop, origin):
    with signed_in(shop, origin=shop.url if origin == "own" else origin) as socket:
        socket.subscribe(PRICING)
        assert socket.next()["pricing"]


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "http://[", "https://shop.example.evil.example", "http://shop.example", "{}1"],
)
def test_pages_of_any_other_origin_may_not(shop, origin):
    with pytest.raises(InvalidStatus) as refused, opened(shop, additional_headers={"Origin": origin.format(shop.url)}):
        pass
    assert refused.value.response.status_code == 403


def test_a_ping_is_answered_before_and_after_the_beginning_and_a_pong_is_not(shop):
    with opened(shop) as socket:
        socket.send({"type": "ping", "payload": {"at": 1}})
        assert socket.receive() == {"type": "pong"}
        socket.init()
        socket.send({"type": "pong"})
        socket.send({"type": "complete", "id": "nobody's"})
        socket.send({"type": "ping"})
        assert socket.receive() == {"type": "pong"}


def test_the_sign_in_of_a_client_that_is_no_browser_may_stand_in_the_request_itself(shop):
    with signed_in(shop, additional_headers=shop.token("user_ada")) as socket:
        socket.subscribe("{ viewer { id } }")
        assert socket.next() == {"viewer": {"id": "user_ada"}}


def test_queries_and_mutations_run_by_the_same_rules_as_over_http(shop):
    with signed_in(shop, shop.token("user_ada")) as socket:
        for query, variables in (
            ("query($first: Int!) { plans(first: $first) { nodes { id } } viewer { id } }", {"first": 2}),
            ('{ customer(externalId: "user_ada") { id } }', {}),
            ('mutation { spendCredits(input: {externalId: "x", amount: 1, idempotencyKey: "k"}) { __typename } }', {}),
            ('mutation { expireCheckoutSession(input: {id: "cs_test_1"}) { userErrors { code } } }', {}),
        ):
            over_http = shop.graphql(query, variables, shop.token("user_ada")).json()
            socket.subscribe(query, variables)
            assert socket.receive() == {"id": "1", "type": "next", "payload": over_http}
            assert socket.receive() == {"id": "1", "type": "complete"}


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ nothing }", {}),
        ("{ plans(", {}),
        ("{ pricing { asOf } " + "".join(f"a{n}: pricing {{ asOf }} " for n in range(16)) + "}", {}),
        ("subscription { viewerUpdated { id } again: viewerUpdated { id } }", {}),
        ("subscription { viewerUpdated { " + "customer { id } " * 101 + "} }", {}),
        ("query A { pricing { asOf } } query B { pricing { asOf } }", {}),
        ("query($first: Int!) { plans(first: $first) { nodes { id } } }", {"first": "two"}),
    ],
)
def test_what_may_not_run_over_http_may_not_run_here_and_the_connection_stays(shop, query, variables):
    with signed_in(shop) as socket:
        refused = shop.graphql(query, variables).json()["errors"]
        socket.subscribe(query, variables)
        assert socket.receive() == {"id": "1", "type": "error", "payload": refused}
        socket.subscribe(PRICING)
        assert socket.next()["pricing"]


def test_a_subscription_over_http_is_told_the_way(shop):
    for answer in (shop.graphql(WATCH), shop.client.get(f"{shop.url}/graphql", params={"query": WATCH})):
        assert answer.status_code == 400
        assert PROTOCOL in answer.json()["errors"][0]["message"]


def test_who_says_nothing_is_shown_out_and_pings_buy_no_time(shop):
    with sibling(shop, websocket_init_seconds=0.3) as strict:
        with opened(strict) as silent, opened(strict) as pinging:
            for _ in range(3):
                pinging.send({"type": "ping"})
            assert silent.closed() == pinging.closed() == (4408, "Connection initialisation timeout")
        with signed_in(strict) as socket:
            time.sleep(0.4)  # longer than who says nothing may
            socket.subscribe(PRICING)
            assert socket.next()["pricing"]


def test_a_connection_ends_after_its_time_with_a_code_that_makes_clients_come_back(shop):
    with sibling(shop, websocket_seconds=1) as brief, signed_in(brief, shop.token("user_ada")) as socket:
        socket.subscribe(WATCH)
        assert socket.next()
        assert socket.closed()[0] == 1001


def test_a_connection_ends_with_its_token(shop):
    """The token has run out seven seconds ago, of the ten by which clocks may differ."""
    with signed_in(shop, shop.token("user_ada", exp=int(time.time()) - 7)) as socket:
        socket.subscribe(WATCH)
        assert socket.next()
        assert socket.closed() == (4403, "Forbidden: the token has expired; sign in again")


def test_connections_are_limited_by_address_and_altogether_and_their_places_are_given_back(shop):
    def status(world, **options):
        with pytest.raises(InvalidStatus) as refused, opened(world, **options):
            pass
        return refused.value.response.status_code, "Retry-After" in refused.value.response.headers

    with sibling(shop, websocket_per_address=2, websocket_connections=3, trusted_proxies=("127.0.0.1",)) as strict:
        here, there = {}, {"additional_headers": {"X-Forwarded-For": "2001:db8::1"}}
        neighbour = {"additional_headers": {"X-Forwarded-For": "2001:db8::2"}}
        with opened(strict, **there):
            with opened(strict, **neighbour):
                assert status(strict, **there) == (429, True)
                with opened(strict, **here):
                    assert status(strict, **here) == (503, True)
            strict.eventually(lambda: accepts(strict, **here))


def accepts(world, **options):
    try:
        with opened(world, **options):
            return True
    except InvalidStatus:
        return False


def test_operations_are_limited_and_ending_one_makes_room(shop):
    with sibling(shop, websocket_operations=2) as strict, signed_in(strict, shop.token("user_ada")) as socket:
        for name in ("a", "b"):
            socket.subscribe(WATCH, id=name)
            socket.next(name)
        socket.subscribe(WATCH, id="c")
        assert socket.error()["extensions"]["code"] == "RATE_LIMITED"
        socket.send({"type": "complete", "id": "a"})
        socket.send({"type": "ping"})
        assert socket.receive() == {"type": "pong"}
        socket.subscribe(WATCH, id="a")
        socket.next("a")


def test_connections_and_operations_count_as_requests_except_the_back_ends(shop):
    with sibling(shop, rate_limit_requests="3/minute") as strict:
        with signed_in(strict) as socket:
            for left in (1, 0):
                socket.subscribe(PRICING)
                assert socket.next()["pricing"], left
                socket.receive()
            socket.subscribe(PRICING)
            refused = socket.error()
            assert refused["extensions"]["code"] == "RATE_LIMITED"
            assert refused["extensions"]["retryAfter"] > 0
        with pytest.raises(InvalidStatus) as closed, opened(strict):
            pass
        assert closed.value.response.status_code == 429
        assert "Retry-After" in closed.value.response.headers
        with signed_in(strict, additional_headers=SERVICE) as socket:
            socket.subscribe(PRICING)
            assert socket.next()["pricing"]


def test_who_has_gone_without_a_word_is_missed(shop):
    """A bare socket that answers no ping of the server's."""
    with sibling(shop, {"ws_ping_interval": 0.1, "ws_ping_timeout": 0.1}) as watchful:
        host, port = watchful.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as silent:
            silent.sendall(
                f"GET /graphql HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n".encode()
            )
            assert b" 101 " in silent.recv(4096)
            while silent.recv(4096):
                pass  # until the server hangs up


def test_who_asks_and_never_reads_the_answers_is_cut_off(shop):
    """What the server could not send must not keep the connection alive, nor its place taken."""
    nobody_is_connected(shop)  # any more: what the tests before have closed
    deafness = {"max_queue": 1, "ping_interval": None, "compression": None, "close_timeout": 0.1}
    with (
        sibling(shop, {"ws_ping_interval": 0.3, "ws_ping_timeout": 0.3}) as watchful,
        opened(watchful, **deafness) as deaf,
    ):
        deaf.send(INIT)
        endless = (subscribe(str(number), operationName="x" * 90_000) for number in count())
        with pytest.raises(ConnectionClosed):
            deque(map(deaf.send, endless))  # each answer repeats the name
        nobody_is_connected(shop)


def nobody_is_connected(world):
    """Wait until no gateway of this process counts a connection."""
    world.eventually(lambda: world.metrics()["gateway_live_connections",], 0.0, seconds=20)


def test_nothing_that_is_sent_leaves_an_error_in_the_log(shop, caplog):
    with opened(shop) as socket:
        socket.send("{}")
        assert socket.closed()[0] == 4400
    with signed_in(shop, shop.token("user_ada")) as socket:
        socket.subscribe(WATCH)
        socket.connection.socket.close()
    with signed_in(shop) as socket:
        socket.send(json.dumps(subscribe()))
        assert socket.next()
    assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []
