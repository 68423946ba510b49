"""Codes and offers, asked of a Stripe that is scripted: who may have which, and what Stripe is told.

What Stripe answers is as its API reference has it: "The Promotion Code object", "The Discount object".
"""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.billing.catalog.service import Catalog
from gateway.billing.subscriptions.discounts import Reduction, of_coupons, of_discounts
from gateway.billing.subscriptions.promotions import PromotionService, offers
from gateway.db.tables import table_for
from gateway.errors import NotFound, StripeUnavailable
from gateway.models.mirrored import Coupon, Discount
from gateway.models.subscriptions import RetentionOffer
from gateway.settings import Settings
from harness.databases import both_databases
from harness.rejected import codes
from harness.rows import customer, item, price, product, subscription
from harness.scripted_subscription import ADA, PREVIEW, SCHED, SUB, changed
from harness.stripe_objects import ENDS, NOW, STARTED, bill, theirs

CODES, COUPON = "/v1/promotion_codes", "/v1/coupons/half"
INVALID = ("PROMOTION_CODE_INVALID", "promotionCode")
NO_LIMIT = {"minimum_amount": None, "minimum_amount_currency": None, "first_time_transaction": False}
PLANNED = {
    "id": "sched_1", "object": "subscription_schedule", "customer": "cus_1", "subscription": "sub_1",
    "status": "active", "metadata": {}, "end_behavior": "release",
    "current_phase": {"start_date": STARTED, "end_date": ENDS},
    "phases": [
        {"start_date": STARTED, "end_date": ENDS, "items": [{"price": "month", "quantity": 1}]},
        {"start_date": ENDS, "end_date": ENDS + 9, "items": [{"price": "year", "quantity": 1}]},
    ],
}  # fmt: skip


def code(id: str = "promo_1", whose: str | None = None, coupon: str = "half", **restrictions) -> dict:
    promotion = {"type": "coupon", "coupon": coupon}
    return {"id": id, "customer": whose, "promotion": promotion, "restrictions": {**NO_LIMIT, **restrictions}}


def given(id: str = "di_1", coupon: str = "half", by: str | None = None, start: int = STARTED) -> dict:
    """A discount that the subscription has."""
    source = {"type": "coupon", "coupon": coupon}
    return {"id": id, "object": "discount", "customer": "cus_1", "source": source, "promotion_code": by,
            "start": start, "end": None}  # fmt: skip


def had(coupon: str = "half", whose: str = "cus_1") -> Discount:
    return Discount(id="di_0", customer_id=whose, coupon_id=coupon, as_of=0)


def offer(**columns) -> RetentionOffer:
    its = {"subscription_id": "sub_1", "coupon_id": "half", "created": NOW - timedelta(hours=1)}
    return RetentionOffer(**{**its, **columns})


@pytest.fixture
async def service(database, mirror, stripe, fill, scripted):
    """Ada has a monthly plan, Bob another one."""
    await fill(
        product("pro"), price("month", "pro"), customer(external_id="ada"), subscription(), item("si_1", "month", "pro")
    )
    await fill(customer("cus_2", "bob"), subscription("sub_2", customer_id="cus_2"))

    def make(**settings) -> PromotionService:
        chosen = Settings.load(stripe_secret_key="sk_test_tests", stripe_api_base=scripted.url, **settings)
        return PromotionService(chosen, mirror, stripe, Catalog(chosen, database))

    return make


def becomes(scripted, *states: dict) -> None:
    """Stripe has the first state, and once it has done what it is asked, the last."""
    for each in states:
        scripted.answer("GET", SUB, each)
    scripted.answer("POST", SUB, states[-1])
    scripted.answer("GET", SCHED, PLANNED)


EXPANDED = {"expand[0]": "discounts", "expand[1]": "discounts.source.coupon"}


@pytest.mark.parametrize("before", [[], [given("di_9", "seller")]], ids=["alone", "beside the seller's"])
async def test_a_code_is_put_beside_what_is_there(service, scripted, database, before):
    mine = given(by="promo_1")
    becomes(scripted, theirs(discounts=before), theirs(discounts=[*before, mine]))
    scripted.list(CODES, [code()])
    state = await service().redeem(ADA, "sub_1", " SPRING ", "k")
    assert state.subscription.discounts == [*(each["id"] for each in before), "di_1"]
    assert ("GET", CODES, {"code": "SPRING", "active": "true", "limit": "100"}) in scripted.calls
    present = {f"discounts[{place}][discount]": each["id"] for place, each in enumerate(before)}
    assert changed(scripted) == [
        ("POST", SUB, {**present, f"discounts[{len(before)}][promotion_code]": "promo_1", **EXPANDED})
    ]
    again = await service().redeem(ADA, "sub_1", "SPRING", "k")  # it is there already
    assert (again.subscription.discounts, len(changed(scripted))) == (state.subscription.discounts, 1)


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ([code()], "promo_1"),
        ([code("promo_0", "cus_2"), code(), code("promo_9")], "promo_1"),
        ([code(), code("promo_2", "cus_1"), code("promo_3", "cus_2")], "promo_2"),
    ],
    ids=["everybody's", "not another's", "one's own first"],
)
async def test_which_of_several_codes_of_one_text_is_meant(service, scripted, found, chosen):
    becomes(scripted, theirs(), theirs())
    scripted.list(CODES, found)
    await service().redeem(ADA, "sub_1", "SPRING", None)
    assert [call[2]["discounts[0][promotion_code]"] for call in changed(scripted)] == [chosen]


REFUSED = {
    "no such code": ({}, [], [], INVALID),
    "another's": ({}, [code(whose="cus_2")], [], INVALID),
    "a second code": ({"discounts": [given(coupon="other", by="promo_9")]}, [code()], [], INVALID),
    "the coupon was had": ({}, [code()], [had()], INVALID),
    "it is paused": (
        {"pause_collection": {"behavior": "void"}}, [code()], [], ("SUBSCRIPTION_PAUSED", "subscriptionId"),
    ),
    "a change waits": ({"schedule": PLANNED}, [code()], [], ("CHANGE_PENDING", "subscriptionId")),
    "it owes": ({"status": "past_due"}, [code()], [], ("INVOICE_UNPAID", "subscriptionId")),
    "its invoice is open": (
        {"latest_invoice": bill(status="open")}, [code()], [], ("INVOICE_UNPAID", "subscriptionId"),
    ),
    "it has ended": ({"status": "canceled"}, [code()], [], ("SUBSCRIPTION_ENDED", "subscriptionId")),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "found", "rows", "expected"), REFUSED.values(), ids=REFUSED)
async def test_which_code_is_refused(service, scripted, fill, columns, found, rows, expected):
    await fill(*rows)
    becomes(scripted, theirs(**columns))
    scripted.list(CODES, found)
    assert await codes(service().redeem(ADA, "sub_1", "SPRING", None)) == [expected]
    assert changed(scripted) == []


@pytest.mark.parametrize(("coupon", "whose"), [("other", "cus_1"), ("half", "cus_2")])
async def test_another_coupon_and_anothers_discount_were_not_had(service, scripted, fill, coupon, whose):
    await fill(had(coupon, whose))
    becomes(scripted, theirs(), theirs())
    scripted.list(CODES, [code()])
    await service().redeem(ADA, "sub_1", "SPRING", None)
    assert len(changed(scripted)) == 1


async def test_what_can_be_no_code_is_not_asked_for(service, scripted):
    becomes(scripted, theirs())
    scripted.list(CODES, [])
    for text, asked in (("", 0), (" ", 0), ("x" * 501, 0), ("x" * 500, 1)):
        scripted.calls.clear()
        assert await codes(service().redeem(ADA, "sub_1", text, None)) == [INVALID]
        assert len([call for call in scripted.calls if call[1] == CODES]) == asked


async def test_what_the_seller_plans_binds_codes_and_offers(service, scripted, fill):
    await fill(offer())
    becomes(scripted, theirs(schedule=PLANNED))
    scripted.list(CODES, [code()])
    made = service(seller_plans_binding=True)
    refused = [("PLANNED_BY_SELLER", "subscriptionId")]
    assert await codes(made.redeem(ADA, "sub_1", "SPRING", None)) == refused
    assert await codes(made.accept(ADA, "sub_1", None)) == refused


async def test_a_bad_key_and_anothers_subscription_are_told_before_stripe_is_asked(service, scripted):
    made, key = service(), [("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")]
    assert await codes(made.redeem(ADA, "sub_1", "SPRING", "")) == key
    assert await codes(made.accept(ADA, "sub_1", "")) == key
    for call in (
        made.redeem(ADA, "sub_2", "SPRING", None), made.offer(ADA, "sub_2", "half", None),
        made.accept(ADA, "sub_2", None),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await call
    assert scripted.calls == []


async def test_a_key_is_of_what_is_done(service, scripted, fill):
    await fill(offer())
    becomes(scripted, theirs())
    scripted.list(CODES, [code()])
    made = service()
    for key in ("k", "k", "l"):
        await made.redeem(ADA, "sub_1", "SPRING", key)
    await made.accept(ADA, "sub_1", "k")
    same, again, other, accepted = scripted.keys
    assert (same, same.partition("-")[0], accepted.partition("-")[0]) == (again, "redeem", "retain")
    assert len({same, other, accepted}) == 3


USD_10 = {"minimum_amount": 1000, "minimum_amount_currency": "usd"}
EUR_10 = {"minimum_amount": 1000, "minimum_amount_currency": "eur"}
MINIMUMS = {
    "none": ({}, None, True),
    "reached": (USD_10, 1000, True),
    "missed": (USD_10, 999, False),
    "in another currency": (EUR_10, 5000, False),
    "in this one, too": ({**EUR_10, "currency_options": {"usd": {"minimum_amount": 900}}}, 900, True),
    "missed in this one": ({**EUR_10, "currency_options": {"usd": {"minimum_amount": 900}}}, 899, False),
    "another in this one": ({**USD_10, "currency_options": {"usd": {"minimum_amount": 2000}}}, 1000, False),
    "only in a third": ({**EUR_10, "currency_options": {"chf": {"minimum_amount": 1}}}, 5000, False),
    "the options say none": ({"currency_options": {"usd": {"minimum_amount": None}}}, None, True),
}


@pytest.mark.parametrize(("restrictions", "renewal", "good"), MINIMUMS.values(), ids=MINIMUMS)
async def test_a_code_for_bigger_orders_looks_at_the_renewal(service, scripted, restrictions, renewal, good):
    becomes(scripted, theirs(), theirs())
    scripted.list(CODES, [code(**restrictions)])
    if renewal:  # discounts and taxes are not in the subtotal
        scripted.answer("POST", PREVIEW, bill(subtotal=renewal, total=1))
    redeemed = service().redeem(ADA, "sub_1", "BIG", None)
    assert good or await codes(redeemed) == [INVALID]
    if good:
        await redeemed
    asked = [call[2] for call in scripted.calls if call[1] == PREVIEW]
    assert asked == ([{"subscription": "sub_1", "preview_mode": "recurring"}] if renewal else [])
    assert len([call for call in changed(scripted) if call[1] == SUB]) == good


async def test_a_code_for_bigger_orders_is_not_for_what_renews_no_more(service, scripted):
    becomes(scripted, theirs())
    scripted.list(CODES, [code(**USD_10)])
    scripted.refuse("POST", PREVIEW, "invoice_upcoming_none")
    assert await codes(service().redeem(ADA, "sub_1", "BIG", None)) == [INVALID]


async def test_what_stripe_refuses_of_a_code_is_told(service, scripted):
    scripted.answer("GET", SUB, theirs())
    error = {"type": "invalid_request_error", "message": "no", "param": "discounts[0][promotion_code]"}
    scripted.answer("POST", SUB, {"error": error}, status=400)
    scripted.list(CODES, [code()])
    assert await codes(service().redeem(ADA, "sub_1", "SPRING", None)) == [INVALID]


# Offers ----------------------------------------------------------------------------------------------------------


def sold(**columns) -> dict:
    its = {"id": "half", "object": "coupon", "name": "Half", "percent_off": 50, "amount_off": None, "currency": None}
    return {**its, "duration": "once", "duration_in_months": None, "valid": True, **columns}


async def offered(database) -> list[tuple]:
    rows = await database.read(lambda connection: connection.execute(table_for(RetentionOffer).select()).all())
    return [(row.subscription_id, row.coupon_id, row.expires_at, row.accepted_at) for row in rows]


@both_databases
async def test_an_offer_replaces_the_one_before_and_is_of_stripes_moment(service, scripted, database, fill):
    began = datetime.now(UTC).replace(microsecond=0)
    await fill(offer(coupon_id="old", accepted_at=NOW))
    scripted.answer("GET", COUPON, sold())
    later = NOW + timedelta(hours=1)
    for ends in (later, None):
        state = await service().offer(ADA, "sub_1", "half", ends)
        assert state.subscription.id == "sub_1"
        assert await offered(database) == [("sub_1", "half", ends, None)]
    (mine,) = (await database.read(lambda connection: offers(connection, ["sub_1"]))).values()
    assert timedelta() <= mine.created - began < timedelta(minutes=5)
    reductions = await database.read(lambda connection: of_coupons(connection, ["half"]))
    assert reductions == {"half": Reduction("half", "Half", 50.0, None, None, once=True)}


NOT_OFFERED = {
    "it has ended": (subscription(status="canceled"), sold(), None, ("SUBSCRIPTION_ENDED", "subscriptionId")),
    "no longer given": (subscription(), sold(valid=False), None, ("OFFER_UNAVAILABLE", "couponId")),
    "its end is now": (subscription(), sold(), timedelta(), ("TIMESTAMP_INVALID", "expiresAt")),
    "its end has passed": (subscription(), sold(), -timedelta(days=1), ("TIMESTAMP_INVALID", "expiresAt")),
}


@pytest.mark.parametrize(("row", "coupon", "ends", "expected"), NOT_OFFERED.values(), ids=NOT_OFFERED)
async def test_what_is_not_offered(service, scripted, database, fill, row, coupon, ends, expected):
    own = row.model_copy(update={"id": "sub_3"})
    await fill(own, item("si_3", "month", "pro", subscription_id="sub_3"))
    scripted.answer("GET", COUPON, coupon)
    asked = service().offer(ADA, "sub_3", "half", None if ends is None else NOW + ends)
    assert await codes(asked) == [expected]
    assert await offered(database) == []


async def test_a_coupon_that_is_not_there_or_was_had_is_not_offered(service, scripted, database, fill):
    scripted.refuse("GET", COUPON, "resource_missing", status=404)
    assert await codes(service().offer(ADA, "sub_1", "half", None)) == [("OFFER_UNAVAILABLE", "couponId")]
    scripted.forget()
    await fill(had())
    scripted.answer("GET", COUPON, sold())
    assert await codes(service().offer(ADA, "sub_1", "half", None)) == [("OFFER_UNAVAILABLE", "couponId")]
    assert await offered(database) == []


@pytest.mark.parametrize(
    ("ending", "sent"),
    [({}, {}), ({"cancel_at_period_end": True, "cancel_at": ENDS}, {"cancel_at_period_end": "false"})],
    ids=["it goes on", "its end is taken back"],
)
async def test_an_offer_is_accepted_once(service, scripted, database, fill, ending, sent):
    began = datetime.now(UTC).replace(microsecond=0)
    await fill(offer(expires_at=NOW + timedelta(hours=1)))
    becomes(scripted, theirs(**ending), theirs(discounts=[given(start=int(NOW.timestamp()))]))
    state = await service().accept(ADA, "sub_1", "k")
    assert (state.subscription.discounts, state.subscription.cancel_at_period_end) == (["di_1"], False)
    assert changed(scripted) == [("POST", SUB, {"discounts[0][coupon]": "half", **EXPANDED, **sent})]
    ((_, _, _, accepted),) = await offered(database)
    assert timedelta() <= accepted - began < timedelta(minutes=5)
    again = await service().accept(ADA, "sub_1", "l")
    assert (again.subscription.discounts, len(changed(scripted))) == (["di_1"], 1)
    assert await offered(database) == [("sub_1", "half", NOW + timedelta(hours=1), accepted)]


@pytest.mark.parametrize(("seconds", "lost"), [(-1, False), (0, True), (1, True)])
async def test_an_answer_that_was_lost_gives_no_second_discount(service, scripted, database, fill, seconds, lost):
    """One of the same coupon that is older than the offer is not the one that was offered."""
    made = offer()
    await fill(made)
    becomes(scripted, theirs(discounts=[given(start=int(made.created.timestamp()) + seconds)]))
    accepted = service().accept(ADA, "sub_1", "k")
    if lost:
        assert (await accepted).subscription.discounts == ["di_1"]
    else:
        assert await codes(accepted) == [("OFFER_UNAVAILABLE", "subscriptionId")]
    assert (changed(scripted), [bool(row[3]) for row in await offered(database)]) == ([], [lost])


NOT_ACCEPTED = {
    "nothing is offered": ([], {}, ("OFFER_UNAVAILABLE", "subscriptionId")),
    "it is too late": ([offer(expires_at=NOW - timedelta(seconds=9))], {}, ("OFFER_UNAVAILABLE", "subscriptionId")),
    "another's offer": ([offer(subscription_id="sub_2")], {}, ("OFFER_UNAVAILABLE", "subscriptionId")),
    "it was had meanwhile": ([offer(), had()], {}, ("OFFER_UNAVAILABLE", "subscriptionId")),
    "a change waits": ([offer()], {"schedule": PLANNED}, ("CHANGE_PENDING", "subscriptionId")),
    "it owes": ([offer()], {"status": "past_due"}, ("INVOICE_UNPAID", "subscriptionId")),
    "its invoice is open": ([offer()], {"latest_invoice": bill(status="open")}, ("INVOICE_UNPAID", "subscriptionId")),
    "it has ended": ([offer()], {"status": "canceled"}, ("SUBSCRIPTION_ENDED", "subscriptionId")),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "columns", "expected"), NOT_ACCEPTED.values(), ids=NOT_ACCEPTED)
async def test_what_is_not_accepted(service, scripted, database, fill, rows, columns, expected):
    await fill(*rows)
    becomes(scripted, theirs(**columns))
    assert await codes(service().accept(ADA, "sub_1", None)) == [expected]
    assert (changed(scripted), [row for row in await offered(database) if row[3]]) == ([], [])


async def test_what_stripe_did_not_do_is_offered_still(service, scripted, database, fill):
    await fill(offer())
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", SUB, {"error": {"type": "api_error", "message": "no"}}, status=500)
    with pytest.raises(StripeUnavailable):
        await service().accept(ADA, "sub_1", "k")
    assert await offered(database) == [("sub_1", "half", None, None)]


async def test_which_offers_may_be_accepted_still(database, fill):
    soon, ago = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(hours=1)
    every = {
        "open": {},
        "soon over": {"expires_at": soon},
        "over": {"expires_at": ago},
        "accepted": {"accepted_at": ago},
    }
    every["accepted and over"] = {"expires_at": ago, "accepted_at": ago}
    await fill(*(offer(subscription_id=name, **columns) for name, columns in every.items()))

    async def found(*ids: str, accepted: bool = False) -> set[str]:
        rows = await database.read(lambda connection: offers(connection, ids, accepted=accepted))
        assert all(name == row.subscription_id for name, row in rows.items())
        return set(rows)

    assert await found(*every) == {"open", "soon over"}
    assert await found(*every, accepted=True) == {*every} - {"over"}
    assert await found("over", "open") == {"open"}


async def test_what_discounts_take_off(database, fill):
    twenty = {"percent_off": 20.0, "duration": "once", "name": "Twenty"}
    five = {"amount_off": 500, "currency": "usd", "duration": "repeating", "duration_in_months": 3}
    await fill(Coupon(id="twenty", as_of=0, **twenty), Coupon(id="five", as_of=0, **five))
    its = {"as_of": 0, "customer_id": "cus_1"}
    await fill(
        Discount(id="di_1", coupon_id="twenty", promotion_code_id="promo_1", **its),
        Discount(id="di_2", coupon_id="five", ends=NOW, **its),
        Discount(id="di_3", coupon_id="unknown", **its),
        Discount(id="di_4", coupon_id="five", **its),
    )
    found = await database.read(lambda connection: of_discounts(connection, ["di_1", "di_2", "di_3", "di_9"]))
    assert found == {
        "di_1": Reduction("twenty", "Twenty", 20.0, once=True, promotion_code_id="promo_1"),
        "di_2": Reduction("five", amount_off=500, currency="usd", ends=NOW),
        "di_3": Reduction("unknown"),
    }
    assert list(await database.read(lambda connection: of_coupons(connection, ["five", "no"]))) == ["five"]
