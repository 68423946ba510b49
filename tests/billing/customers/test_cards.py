"""Cards that are not the user's, repeated trials and a customer's subscriptions: asked of a Stripe that is scripted."""

import pytest
import sqlalchemy as sa
import structlog

from gateway.billing.checkout.trials import WHY, end_repeated
from gateway.billing.customers import cards
from gateway.billing.subscriptions.exclusion import read_subscriptions
from gateway.db.rows import row_by_id
from gateway.errors import StripeRefused, StripeUnavailable
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import CheckoutSession, Customer, Subscription
from harness.rows import at, customer, subscription

METHODS = "/v1/customers/cus_1/payment_methods"


def seconds(days: float) -> int:
    return int(at(days).timestamp())


def method(id: str, days: float = -1, **columns) -> dict:
    given = {"object": "payment_method", "type": "card", "customer": "cus_1", "allow_redisplay": "unspecified"}
    return {"id": id, **given, "created": seconds(days), **columns}


def session(id: str = "cs_1", days: float = 0, **columns) -> CheckoutSession:
    given = {"mode": "subscription", "ui_mode": "hosted_page", "status": "complete", "payment_status": "paid"}
    given |= {"as_of": 0, "created": at(days), "expires_at": at(9), "customer_id": "cus_1"}
    return CheckoutSession(id=id, **{**given, **columns})


def at_stripe(id: str, status: str) -> dict:
    obj = {"id": id, "object": "subscription", "customer": "cus_1", "status": status, "currency": "usd"}
    obj |= dict.fromkeys(("cancel_at", "canceled_at", "ended_at", "trial_start", "trial_end", "pause_collection"))
    obj |= {"cancel_at_period_end": False, "latest_invoice": None, "default_payment_method": None}
    return obj | {"items": {"data": []}, "created": seconds(-1), "start_date": seconds(-1), "metadata": {}}


def written(scripted) -> list[tuple[str, str, dict]]:
    return [call for call in scripted.calls if call[0] != "GET"]


async def test_a_strangers_cards_are_not_offered_again(mirror, fill, scripted, stripe):
    limited = method("pm_limited", allow_redisplay="limited")
    more = method("pm_more", allow_redisplay="limited")
    scripted.list(METHODS, [method("pm_a"), more, limited], [method("pm_b", 0), method("pm_mine", 1)])
    scripted.answer("POST", "/v1/payment_methods/pm_a", {})
    scripted.answer("POST", "/v1/payment_methods/pm_b", {})
    await fill(session("cs_guest", -2), session("cs_ada", external_id="ada"), session("cs_more", 5, external_id="ada"))
    await fill(session("cs_other", -9, external_id="bob", customer_id="cus_2"))
    await cards.withhold(mirror, stripe, "cus_1")
    assert written(scripted) == [
        ("POST", f"/v1/payment_methods/{name}", {"allow_redisplay": "limited"}) for name in ("pm_a", "pm_b")
    ]
    assert scripted.keys == ["withhold-pm_a", "withhold-pm_b"]
    first, second = (call for call in scripted.calls if call[0] == "GET")
    assert (first, second) == (
        ("GET", METHODS, {"limit": "100"}), ("GET", METHODS, {"limit": "100", "starting_after": "pm_limited"}),
    )  # fmt: skip


async def test_before_the_users_own_checkout_every_card_is_a_strangers(mirror, fill, scripted, stripe):
    scripted.list(METHODS, [method("pm_a", 99)])
    scripted.answer("POST", "/v1/payment_methods/pm_a", {})
    await fill(session("cs_guest"))
    await cards.withhold(mirror, stripe, "cus_1")
    assert scripted.keys == ["withhold-pm_a"]


async def unverified(database) -> dict[str, bool]:
    query = sa.select(cards.CUSTOMERS.c.id, cards.CUSTOMERS.c.payer_unverified)
    return dict(await database.read(lambda connection: connection.execute(query).all()))


async def test_a_strangers_cards_are_taken_off(mirror, database, fill, scripted, stripe):
    scripted.list(METHODS, [method("pm_a"), method("pm_gone"), method("pm_off"), method("pm_b")])
    for name in ("pm_a", "pm_b"):
        scripted.answer("POST", f"/v1/payment_methods/{name}/detach", method(name, customer=None))
    scripted.refuse("POST", "/v1/payment_methods/pm_gone/detach", "resource_missing", status=404)
    scripted.refuse("POST", "/v1/payment_methods/pm_off/detach", cards.NOT_ATTACHED)
    await fill(customer(payer_unverified=True), customer("cus_2", payer_unverified=True))
    await cards.detach(mirror, stripe, "cus_1")
    assert scripted.keys == [f"detach-pm_{name}" for name in ("a", "gone", "off", "b")]
    assert await unverified(database) == {"cus_1": False, "cus_2": True}


async def test_what_cannot_be_taken_off_is_told(mirror, database, fill, scripted, stripe):
    scripted.list(METHODS, [method("pm_a")])
    scripted.refuse("POST", "/v1/payment_methods/pm_a/detach", "something_else")
    await fill(customer(payer_unverified=True))
    with pytest.raises(StripeRefused):
        await cards.detach(mirror, stripe, "cus_1")
    assert await unverified(database) == {"cus_1": True}


# --- Repeated trials ----------------------------------------------------------------------------------------------


def trial(id: str, days: float, customer_id: str = "cus_1", status: str = "trialing") -> Subscription:
    return subscription(id, status, customer_id=customer_id, created=at(days), trial_start=at(days))


def given_later(id: str) -> Subscription:
    return subscription(id, "trialing", created=at(-3), trial_start=at(-1))


def mailed(id: str = "cus_1", address: str = "Ada@Example.com") -> Customer:
    return customer(id, email=address, email_lower=address.lower())


def guests(id: str, subscription_id: str, **columns) -> CheckoutSession:
    return session(id, subscription_id=subscription_id, **{"guest": True, **columns})


def claim(external_id: str, customer_id: str) -> CustomerClaim:
    return CustomerClaim(external_id=external_id, generation=1, customer_id=customer_id, created=at(-9))


COMPLETED = {"id": "cs_1", "object": "checkout.session", "customer_details": {"email": "aDA@example.com"}}
TRIALS = {
    "the first stays": ([trial("sub_1", -2)], []),
    "a later one ends": ([trial("sub_1", -2), trial("sub_2", -1)], ["sub_2"]),
    "whichever was told first": ([trial("sub_1", -1), trial("sub_2", -2)], ["sub_1"]),
    "of another customer with the address": ([trial("sub_1", -1), trial("sub_9", -5, "cus_2")], ["sub_1"]),
    "of another address": ([trial("sub_1", -1), trial("sub_9", -5, "cus_3")], []),
    "one that has been paid": ([trial("sub_1", -1, status="active"), trial("sub_9", -5, "cus_2")], []),
    "after one that has ended": ([trial("sub_1", -1), trial("sub_9", -5, "cus_2", "canceled")], ["sub_1"]),
    "of a user, who keeps it": ([trial("sub_1", -5), trial("sub_8", -1)], []),
    "of a user after another's, who may have taken the address": (
        [trial("sub_9", -5, "cus_2"), claim("eve", "cus_2"), trial("sub_8", -1), claim("ada", "cus_1")],
        [],
    ),
    "of a guest who is a user by now, who keeps it": (
        [trial("sub_9", -5, "cus_2"), trial("sub_1", -1), claim("ada", "cus_1")],
        [],
    ),
    "after one at a connected account": ([trial("sub_1", -1), trial("sub_9", -5, "acct_1/cus_1")], []),
    "one that the seller gave later": ([trial("sub_9", -5, "cus_2"), given_later("sub_1")], []),
    "of one second a user's is the first": (
        [trial("sub_1", -1), trial("sub_8", -1, "cus_2"), claim("ada", "cus_2")],
        ["sub_1"],
    ),
    "of one second the lower id is the first": ([trial("sub_2", -1), trial("sub_1", -1)], ["sub_2"]),
    "after one without a trial": ([subscription("sub_9", customer_id="cus_2", created=at(-5)), trial("sub_1", -1)], []),
    "without a trial": ([subscription("sub_1", created=at(-1)), trial("sub_9", -5, "cus_2")], []),
}


@pytest.mark.parametrize(("rows", "ended"), TRIALS.values(), ids=TRIALS)
async def test_of_one_address_only_the_first_trial_of_a_guest_stays(mirror, fill, scripted, stripe, rows, ended):
    await fill(mailed(), mailed("cus_2", "ada@example.com"), mailed("cus_3", "eve@example.com"), *rows)
    await fill(mailed("acct_1/cus_1"))
    await fill(guests("cs_1", "sub_1"), guests("cs_2", "sub_2"))
    await fill(guests("cs_8", "sub_8", guest=False, external_id="ada"))
    for name in ("sub_1", "sub_2", "sub_8"):
        scripted.answer("GET", f"/v1/subscriptions/{name}", at_stripe(name, "trialing"))
        scripted.answer("DELETE", f"/v1/subscriptions/{name}", at_stripe(name, "canceled"))
    with structlog.testing.capture_logs() as logs:
        await end_repeated(mirror, stripe, COMPLETED)
    told = [each["subscription"] for each in logs if each["event"] == "checkout.repeated_trial_ended"]
    assert told == ended
    assert written(scripted) == [
        ("DELETE", f"/v1/subscriptions/{name}", {"cancellation_details[comment]": WHY}) for name in ended
    ]


@pytest.mark.parametrize(
    ("told", "columns"),
    [
        ({**COMPLETED, "customer_details": None}, {}),
        ({**COMPLETED, "customer_details": {"email": None}}, {}),
        ({"id": "cs_1"}, {}),
        (COMPLETED, {"guest": False}),
        (COMPLETED, {"mode": "payment"}),
    ],
)
async def test_of_whom_nothing_is_known_nothing_ends(mirror, fill, scripted, stripe, told, columns):
    await fill(mailed(), trial("sub_1", -2), trial("sub_2", -1))
    await fill(guests("cs_1", "sub_1", **columns), guests("cs_2", "sub_2"))
    await end_repeated(mirror, stripe, told)
    assert scripted.calls == []


async def test_one_that_has_ended_meanwhile_is_passed_over(mirror, fill, scripted, stripe):
    await fill(mailed(), trial("sub_1", -2), trial("sub_2", -1), guests("cs_1", "sub_1"), guests("cs_2", "sub_2"))
    running = at_stripe("sub_2", "trialing") | {"trial_start": seconds(-1)}
    scripted.answer("GET", "/v1/subscriptions/sub_2", running)
    scripted.refuse("DELETE", "/v1/subscriptions/sub_2", "resource_missing", status=404)
    await end_repeated(mirror, stripe, COMPLETED)
    scripted.answer("DELETE", "/v1/subscriptions/sub_2", {"error": {"type": "api_error", "message": "no"}}, status=500)
    await end_repeated(mirror, stripe, COMPLETED)
    with pytest.raises(StripeUnavailable):
        await end_repeated(mirror, stripe, COMPLETED)


async def test_one_that_has_been_paid_for_meanwhile_goes_on(mirror, fill, scripted, stripe):
    await fill(mailed(), trial("sub_1", -2), trial("sub_2", -1), guests("cs_1", "sub_1"), guests("cs_2", "sub_2"))
    scripted.answer("GET", "/v1/subscriptions/sub_2", at_stripe("sub_2", "active"))
    await end_repeated(mirror, stripe, COMPLETED)
    assert written(scripted) == []


# --- A customer's subscriptions -----------------------------------------------------------------------------------


async def test_a_customers_subscriptions_are_read_page_by_page(mirror, database, fill, scripted, stripe):
    first = [at_stripe("sub_1", "active"), at_stripe("sub_0", "active"), at_stripe("sub_2", "canceled")]
    scripted.list("/v1/subscriptions", first, [at_stripe("sub_3", "paused")])
    await fill(subscription("sub_1", "past_due"))
    await read_subscriptions(mirror, stripe, "cus_1")
    asked = {"customer": "cus_1", "status": "all", "limit": "100"}
    calls = [call[2] for call in scripted.calls if call[1] == "/v1/subscriptions"]
    assert calls == [asked, {**asked, "starting_after": "sub_2"}]
    for name, status in (("sub_1", "active"), ("sub_2", "canceled"), ("sub_3", "paused")):
        found = await database.read(lambda connection, name=name: row_by_id(connection, Subscription, name))
        assert found.status == status
