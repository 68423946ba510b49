"""The limits against abuse: who is counted, what counts, and what somebody who must wait is told."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import limits
import pytest

from gateway.errors import SettingsError
from gateway.settings import Settings
from gateway.settings.values import limits_of
from harness.checkout import BUY, CHECKOUT, at_stripe, opened, pay, purchase
from harness.gateway import SERVICE, make_world
from harness.sockets import signed_in


@pytest.fixture
def limited(sqlite_template, tmp_path):
    """A gateway with its ordinary limits, behind a proxy at this very address."""

    @contextmanager
    def start(**settings):
        path = tmp_path / "gateway.db"
        shutil.copy(sqlite_template, path)
        rates = {
            "rate_limit_checkouts": "5/minute",
            "rate_limit_guest_checkouts": "3/minute",
            "rate_limit_mutations": "30/minute",
        }
        given = {"trusted_proxies": "127.0.0.1", **rates, **settings}
        with make_world(f"sqlite:///{path}", **given) as world:
            yield world

    return start


def refused(answer):
    """How many fields of an answer were refused for their rate."""
    codes = [error["extensions"]["code"] for error in answer.json().get("errors", [])]
    assert set(codes) <= {"RATE_LIMITED"}, answer.text
    return len(codes)


def test_a_user_opens_five_checkouts_a_minute_and_is_told_when_to_come_back(limited):
    with limited() as world:
        ada, grace = world.sign_in("ada@example.com"), world.sign_in("grace@example.com")
        wanted = purchase(world)
        assert [refused(world.graphql(BUY, wanted, ada)) for _ in range(6)] == [0, 0, 0, 0, 0, 1]

        answer = world.graphql(BUY, wanted, {**ada, "X-Forwarded-For": "203.0.113.9"})
        assert refused(answer) == 1, "another address is no other user"
        [error] = answer.json()["errors"]
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert error["extensions"]["retryAfter"] == int(answer.headers["retry-after"])
        assert refused(world.graphql(BUY, wanted, grace)) == 0, "others are not held up"
        assert world.data("{ pricing { asOf } }", headers=ada)["pricing"]


def test_six_aliases_count_as_six(limited):
    with limited() as world:
        aliases = " ".join(f"a{n}: {CHECKOUT}" for n in range(6))
        answer = world.graphql(
            f"mutation($input: CreateCheckoutSessionInput!) {{ {aliases} }}",
            purchase(world),
            world.sign_in("ada@example.com"),
        )
        assert refused(answer) == 1
        assert world.sandbox.store.count("checkout.session") == 1


def test_guests_are_counted_more_strictly_by_the_address_that_the_proxy_tells(limited):
    with limited() as world:
        wanted = purchase(world)

        def buy(address):
            return refused(world.graphql(BUY, wanted, {"X-Forwarded-For": address}))

        assert [buy("203.0.113.7") for _ in range(4)] == [0, 0, 0, 1]
        assert buy("198.51.100.1, 203.0.113.7") == 1, "what the client says of itself counts for nothing"
        assert buy("203.0.113.8") == 0


def test_an_ipv6_network_counts_as_one_address(limited):
    with limited() as world:
        wanted = purchase(world)
        addresses = [*(f"2001:db8:1:1::{n}" for n in range(4)), "2001:db8:1:2::1"]
        got = [refused(world.graphql(BUY, wanted, {"X-Forwarded-For": each})) for each in addresses]
        assert got == [0, 0, 0, 1, 0]


def test_without_declared_proxies_nobody_chooses_an_address(limited):
    with limited(trusted_proxies="") as world:
        wanted = purchase(world)
        got = [refused(world.graphql(BUY, wanted, {"X-Forwarded-For": f"203.0.113.{n}"})) for n in range(4)]
        assert got == [0, 0, 0, 1]


def test_the_back_end_is_not_limited(limited):
    with limited(rate_limit_requests="10/minute") as world:
        wanted = purchase(world)
        assert [refused(world.graphql(BUY, wanted, SERVICE)) for _ in range(12)] == [0] * 12


def test_other_mutations_have_a_limit_of_their_own(limited):
    with limited(rate_limit_mutations="2/minute") as world:
        expire = 'mutation { expireCheckoutSession(input: {id: "cs_test_1"}) { userErrors { code } } }'
        ada = world.sign_in("ada@example.com")
        codes = [world.graphql(expire, None, ada).json()["errors"][0]["extensions"]["code"] for _ in range(3)]
        assert codes == ["NOT_FOUND", "NOT_FOUND", "RATE_LIMITED"]


INVOICES = "{ viewer { invoices { nodes { id hostedInvoiceUrl } } } }"
PREVIEW = 'previewChange(subscriptionId: "sub_1", priceId: "price_1") { prorationDate }'


def calls(world):
    """How often the gateway has called Stripe."""
    return sum(value for (name, *_), value in world.metrics().items() if name == "gateway_stripe_calls_total")


def codes_of(answer):
    return [error["extensions"]["code"] for error in answer.json()["errors"]]


def test_queries_that_call_stripe_have_a_rate_of_their_own_aliases_counted(limited):
    with limited(rate_limit_stripe_reads="9/minute", rate_limit_all_stripe_reads="off") as world:
        ada, grace = world.sign_in("ada@example.com"), world.sign_in("grace@example.com")
        preview = f"{{ viewer {{ {PREVIEW} }} }}"  # three calls to Stripe
        assert [codes_of(world.graphql(preview, None, ada)) for _ in range(2)] == [["NOT_FOUND"]] * 2
        aliases = " ".join(f'a{number}: session(id: "cs_test_1") {{ id }}' for number in range(8))
        assert codes_of(world.graphql(f"{{ {aliases} }}", None, ada)) == ["RATE_LIMITED"] * 5
        elsewhere = {**ada, "X-Forwarded-For": "203.0.113.9"}
        assert codes_of(world.graphql(preview, None, elsewhere)) == ["RATE_LIMITED"], "it is the same user"
        assert codes_of(world.graphql(preview, None, grace)) == ["NOT_FOUND"]
        assert world.data("{ viewer { id } pricing { asOf } }", headers=ada)["viewer"]


def test_an_id_that_only_stripe_may_know_is_looked_for_by_no_field_that_is_not_counted(limited):
    with limited() as world:
        ada = world.sign_in("ada@example.com")
        ids = [f"sub_{number}" for number in range(9)]
        aliases = " ".join(
            f'a{each}: product(id: "{each}") {{ id }} b{each}: plan(id: "{each}") {{ id }}' for each in ids[:7]
        )
        asked = calls(world)
        assert world.data(f"{{ {aliases} }}", headers=ada).keys()
        assert codes_of(world.graphql('{ plans(productId: "sub_9") { nodes { id } } }', None, ada)) == ["NOT_FOUND"]
        assert calls(world) == asked
        assert codes_of(world.graphql(f"{{ viewer {{ {PREVIEW} }} }}", None, ada)) == ["NOT_FOUND"]
        assert calls(world) == asked + 1


def test_links_that_are_read_anew_count_and_beyond_the_rate_the_old_ones_are_shown(limited):
    with limited(rate_limit_stripe_reads="1/day", rate_limit_all_stripe_reads="off") as world:
        ada = world.sign_in("ada@example.com")
        pay(world, opened(world, ada, "starter_monthly"))
        world.advance(to=world.sandbox.clock.now() + 32 * 86_400)
        world.eventually(lambda: len(world.rows("invoice", status="paid")), 2)
        invoiced = {event["id"] for event in at_stripe(world, "events") if event["type"].startswith("invoice")}
        world.eventually(lambda: invoiced <= {row["id"] for row in world.rows("event") if row["status"] != "pending"})
        world._execute("UPDATE invoice SET as_of = 1")
        read = "SELECT count(*) FROM invoice WHERE as_of > 1"
        for _ in range(2):
            invoices = world.data(INVOICES, headers=ada)["viewer"]["invoices"]["nodes"]
            assert len(invoices) == 2
            assert all(invoice["hostedInvoiceUrl"] for invoice in invoices)
            assert world._execute(read).scalar() == 1


def test_live_updates_of_a_checkout_count_as_queries_that_call_stripe(limited):
    with limited(rate_limit_stripe_reads="2/minute", rate_limit_all_stripe_reads="off") as world:
        with signed_in(world) as live:
            codes = []
            for number in range(4):
                live.subscribe('subscription { sessionUpdated(id: "cs_test_1") { id } }', id=str(number))
                message = live.receive()
                errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
                codes.append(errors[0]["extensions"]["code"])
                if message["type"] == "next":
                    assert live.receive()["type"] == "complete"
        assert codes == ["NOT_FOUND", "NOT_FOUND", "RATE_LIMITED", "RATE_LIMITED"]


def test_all_callers_together_leave_a_share_of_stripe_to_checkouts(limited):
    with limited(rate_limit_stripe_reads="off", rate_limit_all_stripe_reads="5/minute") as world:
        session = 'query { session(id: "cs_test_1") { id } }'
        answers = [world.graphql(session, None, {"X-Forwarded-For": f"203.0.113.{n}"}).json() for n in range(6)]
        assert ["errors" in answer for answer in answers] == [False] * 5 + [True]
        assert refused(world.graphql(BUY, purchase(world), world.sign_in("ada@example.com"))) == 0


def test_too_many_requests_of_an_address_are_429_and_a_page_may_read_why(limited):
    with limited(rate_limit_requests="3/minute") as world:
        page = {"Origin": "https://shop.example"}
        answers = [world.graphql("{ pricing { asOf } }", None, page) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        last = answers[-1]
        assert last.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert 0 < int(last.headers["retry-after"]) <= 60
        assert last.headers["access-control-allow-origin"] == "https://shop.example"
        assert last.headers["x-request-id"]
        assert world.client.get(f"{world.url}/healthz").status_code == 200
        other = world.graphql("{ pricing { asOf } }", None, {"X-Forwarded-For": "203.0.113.8"})
        assert other.status_code == 200


def test_ten_parallel_identical_checkouts_give_one_session(limited):
    with limited(rate_limit_checkouts="off", rate_limit_guest_checkouts="off") as world:
        wanted, keyed = purchase(world), purchase(world, idempotencyKey="one-purchase-of-a-guest")
        for variables, headers in ((wanted, world.sign_in("ada@example.com")), (keyed, None)):
            before = world.sandbox.store.count("checkout.session")
            with ThreadPoolExecutor(10) as pool:
                answers = list(pool.map(lambda _: world.graphql(BUY, variables, headers).json(), range(10)))  # noqa: B023
            assert len({answer["data"]["createCheckoutSession"]["session"]["id"] for answer in answers}) == 1
            assert world.sandbox.store.count("checkout.session") == before + 1


def test_while_redis_is_away_each_machine_counts_for_itself(limited):
    with limited(rate_limit_storage="redis://127.0.0.1:1/0") as world:
        wanted, ada = purchase(world), world.sign_in("ada@example.com")
        assert [refused(world.graphql(BUY, wanted, ada)) for _ in range(6)] == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    "rate", ["5/minute", "3/minute; 30/hour", "1 per 2 days,9/SECOND|4/10 months", " 7/1year ", "0/hour"]
)
def test_a_rate_is_written_as_the_limits_library_has_it(rate):
    assert limits_of(rate) == [(item.amount, item.get_expiry()) for item in limits.parse_many(rate)]


@pytest.mark.parametrize(
    "rate", ["5", "5/fortnight", "5/minute;", "-1/minute", "5/minute off", "\u0665/minute", "1.5/hour"]
)
def test_what_is_no_rate_stops_the_start(rate):
    with pytest.raises(ValueError, match=r"rate limit string|granularity"):
        limits.parse_many(rate)
    with pytest.raises(SettingsError, match=r"GATEWAY_RATE_LIMIT_MUTATIONS.* is not a rate"):
        Settings.load(rate_limit_mutations=rate)
