"""What Stripe is asked about one subscription and has done to it, each answer stored first; Stripe is scripted."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.auth.principal import Operator, Principal, Role
from gateway.billing.subscriptions.at_stripe import PREVIEW, WHOSE_DISCOUNTS, SubscriptionsAtStripe, stripe_key
from gateway.billing.subscriptions.validation import ConfirmationNeeded
from gateway.billing.user_errors import Rejected
from gateway.db.rows import row_by_id
from gateway.errors import NotFound, StripeUnavailable
from gateway.models.mirrored import Coupon, Discount, Invoice, SubscriptionSchedule
from gateway.settings import Settings
from harness.rows import customer, invoice, item, price, product, snapshot, subscription
from harness.stripe_objects import ENDS, NOW, STARTED, bill, theirs

SUB, INVOICE, RELEASED = "/v1/subscriptions/sub_1", "/v1/invoices/in_1", "/v1/subscription_schedules/sched_1"
AN_END = [{"start": ENDS, "begun": False, "items": [], "fixed": True, "sellers": True}]


@pytest.fixture
async def at_stripe(mirror, stripe, fill) -> SubscriptionsAtStripe:
    await fill(customer(external_id="ada"), subscription(), item("si_1", "month", "pro"))
    return SubscriptionsAtStripe(Settings.load(stripe_secret_key="sk_test_tests"), mirror, stripe)


def asked(scripted, path: str) -> list[dict]:
    return [call[2] for call in scripted.calls if call[1] == path]


def planned(phases: list[dict]) -> SubscriptionSchedule:
    return SubscriptionSchedule(id="sched_1", as_of=0, subscription_id="sub_1", status="active", phases=phases)


BY_SCHEDULE, BY_ITSELF = {"schedule": "sched_1"}, {"subscription": "sub_1"}
RENEWALS = {
    "by itself": (None, [555], 555, [BY_ITSELF]),
    "by itself, no more": (None, [None], None, [BY_ITSELF]),
    "with what is planned": ([], [777], 777, [BY_SCHEDULE]),
    "what is planned costs nothing": ([], [0], 0, [BY_SCHEDULE]),
    "an end is planned": (AN_END, [None], None, [BY_SCHEDULE]),
    "the schedule was released a moment ago": ([], [None, 555], 555, [BY_SCHEDULE, BY_ITSELF]),
}


@pytest.mark.parametrize(("phases", "totals", "expected", "previews"), RENEWALS.values(), ids=RENEWALS)
async def test_what_the_next_renewal_comes_to(at_stripe, scripted, fill, phases, totals, expected, previews):
    if phases is not None:
        await fill(planned(phases))
    for total in totals:
        if total is None:
            scripted.refuse("POST", PREVIEW, "invoice_upcoming_none")
        else:
            scripted.answer("POST", PREVIEW, bill(total=total))
    assert await at_stripe.due_at_renewal("sub_1") == expected
    assert asked(scripted, PREVIEW) == previews
    assert len(set(scripted.keys)) == len(previews)


async def test_a_preview_is_of_the_items_and_mode_that_are_asked_for(at_stripe, scripted):
    scripted.answer("POST", PREVIEW, bill(total=5))
    found = await at_stripe.invoice_preview("sub_1", [{"id": "si_1", "quantity": 2}], proration_behavior="none")
    assert found.object["total"] == 5
    await at_stripe.invoice_preview("sub_1", [], mode="recurring")
    first = {"subscription": "sub_1", "preview_mode": "next", "subscription_details[proration_behavior]": "none"}
    first |= {"subscription_details[items][0][id]": "si_1", "subscription_details[items][0][quantity]": "2"}
    assert asked(scripted, PREVIEW) == [first, {"subscription": "sub_1", "preview_mode": "recurring"}]
    assert scripted.keys[0] != scripted.keys[1]
    scripted.forget()
    scripted.refuse("POST", PREVIEW, "invoice_upcoming_none")
    assert await at_stripe.invoice_preview("sub_1", []) is None
    scripted.forget()
    scripted.refuse("POST", PREVIEW, "no")
    with pytest.raises(Rejected) as raised:
        await at_stripe.invoice_preview("sub_1", [])
    assert [(each.code.name, each.field) for each in raised.value.problems] == [("STRIPE_REFUSED", None)]


def discount(coupon) -> dict:
    return {"source": {"type": "coupon", "coupon": coupon}}


async def test_coupons_that_lie_too_deep_are_read_and_deleted_ones_left(at_stripe, scripted):
    scripted.answer("GET", "/v1/coupons/half", {"id": "half", "object": "coupon", "percent_off": 50})
    scripted.refuse("GET", "/v1/coupons/gone", "resource_missing", status=404)
    known = {"id": "known", "percent_off": 10}
    items = [
        {"discounts": [discount("gone"), discount("half")]},
        {},
        {"discounts": None},
        {"discounts": [discount(known)]},
    ]
    subscribed = {"items": {"data": items}}
    await at_stripe.read_item_coupons(subscribed)
    read = [each["source"]["coupon"] for its in items for each in its.get("discounts") or ()]
    assert [each if isinstance(each, str) else each["percent_off"] for each in read] == ["gone", 50, 10]
    assert [call[1] for call in scripted.calls] == ["/v1/coupons/gone", "/v1/coupons/half"]


UNCONFIRMED = {"expires_at": ENDS, "subscription_items": [{"price": {"id": "year"}, "quantity": 1}]}


async def test_a_change_that_waits_for_its_buyer_goes_with_its_invoice(at_stripe, scripted):
    scripted.answer("GET", SUB, theirs(pending_update=UNCONFIRMED, latest_invoice=bill(status="open")))
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", f"{INVOICE}/void", bill(status="void"))
    scripted.answer("GET", INVOICE, bill(status="void"))
    _, answer = await at_stripe.present("sub_1")
    dropped = await at_stripe.drop_unconfirmed(answer)
    assert "pending_update" not in dropped.object
    assert [call[1] for call in scripted.calls if call[0] == "POST"] == [f"{INVOICE}/void"]
    assert scripted.keys == [f"void-{INVOICE}/void"]
    scripted.calls.clear()
    assert await at_stripe.drop_unconfirmed(dropped) is dropped
    assert scripted.calls == []


async def test_an_invoice_that_is_gone_ends_no_change_that_waits(at_stripe, scripted):
    scripted.answer("GET", SUB, theirs(pending_update=UNCONFIRMED, latest_invoice=bill(status="open")))
    scripted.answer("GET", SUB, theirs(status="canceled"))
    scripted.refuse("POST", f"{INVOICE}/void", "resource_missing", status=404)
    _, answer = await at_stripe.present("sub_1")
    with pytest.raises(Rejected) as raised:
        await at_stripe.drop_unconfirmed(answer)
    assert raised.value.problems[0].code.name == "SUBSCRIPTION_ENDED"


async def test_what_stripe_answers_is_stored_with_its_invoice(at_stripe, database, scripted):
    scripted.answer("POST", SUB, theirs(cancel_at_period_end=True, latest_invoice=bill(number="A-7")))
    done = await at_stripe.do("sub_1", at_stripe._stripe.post(SUB, idempotency_key="k"))
    assert done.object["cancel_at_period_end"] is True
    assert (await at_stripe.state("sub_1")).subscription.cancel_at_period_end is True
    stored = await database.read(lambda connection: row_by_id(connection, Invoice, "in_1"))
    assert stored.number == "A-7"
    scripted.forget()
    scripted.answer("POST", SUB, theirs(latest_invoice="in_1"))
    scripted.answer("GET", SUB, theirs(latest_invoice="in_1"))
    await at_stripe.do("sub_1", at_stripe._stripe.post(SUB, idempotency_key="k"))
    assert asked(scripted, INVOICE) == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("authentication_required", ConfirmationNeeded),
        ("subscription_payment_intent_requires_action", ConfirmationNeeded),
        ("card_declined", Rejected),
    ],
)
async def test_what_the_buyer_must_confirm_is_told_apart(at_stripe, scripted, code, kind):
    error = {"type": "card_error", "message": "no", "code": code}
    scripted.answer("POST", SUB, {"error": error}, status=402)
    with pytest.raises(Rejected) as raised:
        await at_stripe.do("sub_1", at_stripe._stripe.post(SUB, idempotency_key="k"))
    assert (type(raised.value), raised.value.problems[0].code.name) == (kind, "PAYMENT_FAILED")


@pytest.mark.parametrize(
    ("now", "expected"), [("canceled", ("SUBSCRIPTION_ENDED", "subscriptionId")), ("active", ("STRIPE_REFUSED", None))]
)
async def test_what_is_missing_is_looked_at_again(at_stripe, scripted, now, expected):
    scripted.refuse("POST", SUB, "resource_missing", status=404)
    scripted.answer("GET", SUB, theirs(status=now))
    with pytest.raises(Rejected) as raised:
        await at_stripe.do("sub_1", at_stripe._stripe.post(SUB, idempotency_key="k"))
    assert [(each.code.name, each.field) for each in raised.value.problems] == [expected]
    assert (await at_stripe.state("sub_1")).subscription.status == now


SCHEDULE = {
    "id": "sched_2", "object": "subscription_schedule", "customer": "cus_1", "subscription": "sub_1",
    "status": "active", "metadata": {}, "end_behavior": "cancel",
    "current_phase": {"start_date": STARTED, "end_date": ENDS},
    "phases": [{"start_date": STARTED, "end_date": ENDS, "items": [{"price": "month", "quantity": 1}]}],
}  # fmt: skip


async def test_a_subscription_is_read_with_what_plans_it_now_and_what_does_no_more(at_stripe, scripted, fill, database):
    await fill(planned(AN_END))
    scripted.answer("GET", SUB, theirs(schedule=SCHEDULE, discounts=[{**discount("half"), **OF_ADA}]))
    gone = {**SCHEDULE, "id": "sched_1", "status": "released", "subscription": None}
    scripted.answer("GET", RELEASED, gone)
    state, _ = await at_stripe.present("sub_1")
    assert int(state.planned.end.timestamp()) == ENDS
    assert list(scripted.calls[0][2].values()) == ["latest_invoice", "schedule", *WHOSE_DISCOUNTS]
    assert [call[1] for call in scripted.calls] == [SUB, RELEASED]
    stored = await database.read(lambda connection: row_by_id(connection, SubscriptionSchedule, "sched_1"))
    assert stored.status == "released"
    assert (await database.read(lambda connection: row_by_id(connection, Discount, "di_1"))).coupon_id == "half"


OF_ADA = {
    "id": "di_1",
    "object": "discount",
    "customer": "cus_1",
    "promotion_code": None,
    "start": STARTED,
    "end": None,
}


async def test_a_schedule_that_stripe_has_no_more_plans_nothing(at_stripe, scripted, fill):
    await fill(planned(AN_END))
    scripted.answer("GET", SUB, theirs())
    scripted.refuse("GET", RELEASED, "resource_missing", status=404)
    state, _ = await at_stripe.present("sub_1")
    assert state.planned.end is None


async def test_what_is_not_there_is_not_found_and_what_cannot_be_asked_is_told(at_stripe, scripted):
    with pytest.raises(NotFound):
        await at_stripe.state("sub_9")
    scripted.refuse("GET", SUB, "resource_missing", status=404)
    with pytest.raises(NotFound):
        await at_stripe.present("sub_1")
    scripted.forget()
    with pytest.raises(StripeUnavailable):
        await at_stripe.present("sub_1")


async def test_an_answer_that_repeats_an_earlier_one_is_read_again(at_stripe, scripted):
    scripted.answer("POST", SUB, theirs(), replayed=True)
    scripted.answer("GET", SUB, theirs(cancel_at_period_end=True))
    await at_stripe.do("sub_1", at_stripe._stripe.post(SUB, idempotency_key="k"))
    assert (await at_stripe.state("sub_1")).subscription.cancel_at_period_end is True


async def test_a_coupon_that_comes_with_a_subscription_is_read_whole(at_stripe, scripted, database):
    coupon = {"id": "half", "object": "coupon", "percent_off": 50, "duration": "once"}
    coupon |= dict.fromkeys(("name", "amount_off", "currency", "duration_in_months"))
    scripted.answer("GET", SUB, theirs(discounts=[{**OF_ADA, "object": "discount", **discount(coupon)}]))
    scripted.answer("GET", "/v1/coupons/half", coupon)
    await at_stripe.present("sub_1")
    stored = await database.read(lambda connection: row_by_id(connection, Coupon, "half"))
    assert stored.percent_off == 50


async def test_after_a_failed_charge_access_goes_on_for_the_grace_period(at_stripe, scripted):
    scripted.answer("GET", SUB, theirs(status="past_due"))
    state, _ = await at_stripe.present("sub_1")
    assert state.access.allowed


async def test_what_is_a_draft_still_was_not_billed(at_stripe, scripted, fill):
    await fill(invoice("in_1", status="draft"))
    scripted.answer("GET", INVOICE, bill(status="draft"))
    assert await at_stripe.billed({"latest_invoice": "in_1"}, ["month"]) is None
    assert len(asked(scripted, INVOICE)) == 1


PLANS = snapshot(
    product("pro"),
    price("month", "pro", trial_period_days=30),
    price("quick", "pro", 9000, trial_period_days=1),
    price("year", "pro", 9000, interval="year"),
)
TRIAL = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS}
PAUSES = {"trial_settings": {"end_behavior": {"missing_payment_method": "pause"}}}
TRIAL_ENDS = {
    "none runs": (PAUSES, "year", None, None),
    "the plan has one": (TRIAL | PAUSES, "month", None, ENDS),
    "the plan has none": (TRIAL, "year", None, None),
    "its time is over": (TRIAL, "quick", None, None),
    "that was so in the preview": (TRIAL, "year", NOW - timedelta(minutes=1), None),
    "that was not so in the preview": (TRIAL, "quick", NOW - timedelta(minutes=1), "PREVIEW_EXPIRED"),
    "nothing would pay": (TRIAL | PAUSES, "year", None, "PAYMENT_METHOD_NEEDED"),
}


@pytest.mark.parametrize(("columns", "to", "quoted", "expected"), TRIAL_ENDS.values(), ids=TRIAL_ENDS)
async def test_when_the_trial_ends_after_a_change(at_stripe, scripted, columns, to, quoted, expected):
    scripted.answer("GET", SUB, theirs(**columns))
    scripted.answer("GET", "/v1/customers/cus_1", {"id": "cus_1"})
    state, answer = await at_stripe.present("sub_1")
    ends = at_stripe.trial_end(answer, state, [{"id": "si_1", "price": to, "quantity": 1}], PLANS, quoted)
    if isinstance(expected, str):
        with pytest.raises(Rejected) as raised:
            await ends
        assert [each.code.name for each in raised.value.problems] == [expected]
    else:
        assert await ends == (expected and datetime.fromtimestamp(expected, UTC))
    assert len(asked(scripted, "/v1/customers/cus_1")) == (expected == "PAYMENT_METHOD_NEEDED")


def test_a_key_is_of_one_user_or_customer_and_of_one_verb():
    ada, bob = Principal(subject="ada"), Principal(subject="bob")
    ann = Principal(operator=Operator("ann", Role.ACT))
    every = [("change", ada), ("end", ada), ("change", bob), *(("change", ann.acting_for(f"cus_{n}")) for n in (1, 2))]
    keys = [stripe_key(verb, who, "k") for verb, who in every]
    assert keys == [stripe_key(verb, who, "k") for verb, who in every]
    assert len({*keys, stripe_key("change", ada, "l")}) == 6
    assert stripe_key("change", ada, None) != stripe_key("change", ada, None)
