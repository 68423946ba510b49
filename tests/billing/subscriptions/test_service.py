"""Changes at once, asked of a scripted Stripe: what may be changed, by whom, and what Stripe is told."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.auth.principal import Principal
from gateway.billing.subscriptions.change_request import ChangeTime, ItemChange, PlanChange
from gateway.billing.subscriptions.ending import Cancellation
from gateway.billing.subscriptions.quotes import remember
from gateway.errors import StripeUnavailable
from harness.rejected import codes
from harness.rows import customer, invoice, item, line, price, product, subscription
from harness.scripted_subscription import (
    ADA,
    HOW,
    LIST,
    NO_DISK,
    PLANS,
    RELEASE,
    SCHED,
    SCHEDULE,
    SUB,
    TO_YEAR,
    TO_YEAR_ITEM,
    becomes,
    changed,
    entries,
    with_disk,
)
from harness.stripe_objects import ENDS, NOW, STARTED, bill, theirs


async def test_a_change_is_billed_at_once_or_not_made(service, scripted):
    becomes(scripted, theirs(), theirs("year", latest_invoice=bill("year")))
    state, billed = await service().change(ADA, "sub_1", PlanChange("year"), None)
    expanded = ("latest_invoice", "schedule", "discounts", "discounts.source.coupon")
    expanded += ("customer.discount.source.coupon", "items.data.discounts")
    assert ("GET", SUB, {f"expand[{n}]": name for n, name in enumerate(expanded)}) in scripted.calls
    assert changed(scripted) == [("POST", SUB, {**TO_YEAR, **HOW})]
    assert ([each.price_id for each in state.items], billed.id) == (["year"], "in_1")


@pytest.mark.parametrize(("minutes", "good"), [(1, True), (16, False)])
async def test_a_quote_is_charged_from_its_moment_while_it_is_good(service, scripted, database, minutes, good):
    becomes(scripted, theirs(), theirs("year"))
    moment = NOW - timedelta(minutes=minutes)
    await remember(database, theirs(), moment)
    change = service().change(ADA, "sub_1", PlanChange("year", proration_date=moment), None)
    assert good or await codes(change) == [("PREVIEW_EXPIRED", "prorationDate")]
    if good:
        await change
    sent = [call[2].get("proration_date") for call in changed(scripted)]
    assert sent == ([str(int(moment.timestamp()))] if good else [])


async def test_a_key_is_of_one_user_and_of_what_is_done(service, scripted, fill):
    await fill(subscription("sub_3", customer_id="cus_2"))
    other = f"{LIST}/sub_3"
    becomes(scripted, theirs())
    scripted.answer("GET", other, {**theirs(cancel_at_period_end=True), "id": "sub_3", "customer": "cus_2"})
    scripted.answer("POST", other, {**theirs(), "id": "sub_3", "customer": "cus_2"})
    every = service()
    for key in ("k", "k", "l", None, None):
        await every.endings.cancel(ADA, "sub_1", Cancellation(), key)
    await every.endings.cancel(Principal(subject="bob"), "sub_3", Cancellation(), "k")
    await every.endings.resume(Principal(subject="bob"), "sub_3", "k")
    same, again, *others = scripted.keys
    assert same == again
    assert (same.partition("-")[0], others[-1].partition("-")[0]) == ("cancel", "resume")
    assert len({same, *others}) == 6


BILLS = {
    "of the change": ({}, "in_1"),
    "of another price": ({"price": "month"}, None),
    "of a renewal": ({"billing_reason": "subscription_cycle"}, None),
    "none": (None, None),
}


@pytest.mark.parametrize(("columns", "billed"), BILLS.values(), ids=BILLS)
async def test_what_is_so_already_is_not_done_again_and_its_invoice_is_answered(
    service, scripted, fill, columns, billed
):
    if columns is not None:
        bought = line(0, 30, price=columns.pop("price", "year"))
        await fill(invoice("in_1", bought, **{"billing_reason": "subscription_update", **columns}))
    scripted.answer("GET", SUB, theirs("year"))
    state, found = await service().change(ADA, "sub_1", PlanChange("year"), None)
    assert (changed(scripted), state.items[0].price_id, found and found.id) == ([], "year", billed)


@pytest.mark.parametrize("expanded", [False, True])
async def test_an_invoice_that_is_mirrored_as_a_draft_is_read_again(service, scripted, fill, expanded):
    await fill(invoice("in_1", status="draft"))
    scripted.answer("GET", SUB, theirs("year", latest_invoice=bill("year") if expanded else "in_1"))
    _, billed = await service().change(ADA, "sub_1", PlanChange("year"), None)
    assert (billed.id, billed.status) == ("in_1", "paid")


REFUSED = {
    "it has ended": (theirs(status="canceled"), PlanChange("year"), ("SUBSCRIPTION_ENDED", "subscriptionId")),
    "an invoice is open": (
        theirs(latest_invoice=bill(status="open")), PlanChange("year"), ("INVOICE_UNPAID", "subscriptionId"),
    ),
    "it is past due": (theirs(status="past_due"), PlanChange("year"), ("INVOICE_UNPAID", "subscriptionId")),
    "too many": (theirs(), PlanChange("year", 11), ("QUANTITY_INVALID", "quantity")),
    "no such price": (theirs(), PlanChange("no"), ("PRICE_NOT_FOUND", "priceId")),
}  # fmt: skip


@pytest.mark.parametrize(("present", "wanted", "expected"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_changed(service, scripted, present, wanted, expected):
    scripted.answer("GET", SUB, present)
    made = service(max_quantity=10)
    assert await codes(made.change(ADA, "sub_1", wanted, None)) == [expected]
    assert await codes(made.preview(ADA, "sub_1", wanted)) == [expected]
    assert (changed(scripted), made.closed) == ([], [])


async def test_of_another_group_there_must_be_none_and_no_checkout_of_it(service, scripted, fill):
    scripted.answer("GET", SUB, theirs())
    scripted.list(LIST, [theirs()], [theirs()])
    scripted.answer("POST", SUB, theirs("disk"))
    made = service()
    await made.change(ADA, "sub_1", PlanChange("disk"), None)
    assert made.closed == ["ada"]
    asked = {"customer": "cus_1", "status": "all", "limit": "100"}
    pages = [asked, {**asked, "starting_after": "sub_1"}]
    assert [call[2] for call in scripted.calls if call[:2] == ("GET", LIST)] == pages
    assert len(changed(scripted)) == 1

    await fill(subscription("sub_3"), item("si_3", "disk", "disks", subscription_id="sub_3"))
    assert await codes(made.change(ADA, "sub_1", PlanChange("disk"), None)) == [("ALREADY_SUBSCRIBED", "priceId")]
    scripted.calls.clear()
    made.closed.clear()
    assert await codes(made.preview(ADA, "sub_1", PlanChange("disk"))) == [("ALREADY_SUBSCRIBED", "priceId")]
    assert (changed(scripted), made.closed, [each for each in scripted.calls if each[1] == LIST]) == ([], [], [])
    await service(allow_multiple_subscriptions=True).change(ADA, "sub_1", PlanChange("disk"), None)
    assert (len(changed(scripted)), made.closed) == (1, [])


async def test_of_its_own_group_it_stays_though_another_is_there(service, scripted, fill):
    await fill(subscription("sub_3"), item("si_3", "month", "pro", subscription_id="sub_3"))
    becomes(scripted, theirs(), theirs("year"))
    made = service()
    await made.change(ADA, "sub_1", PlanChange("year"), None)
    assert (len(changed(scripted)), made.closed) == (1, [])


async def test_a_bad_key_or_a_strangers_card_is_told_before_stripe_is_asked(service, scripted, fill):
    await fill(customer("cus_4", "eve", payer_unverified=True), subscription("sub_4", customer_id="cus_4"))
    made, eve = service(), Principal(subject="eve")
    key, card = ("IDEMPOTENCY_KEY_INVALID", "idempotencyKey"), ("PAYMENT_METHOD_NEEDED", "subscriptionId")
    assert await codes(made.change(eve, "sub_4", PlanChange("year"), "")) == [key, card]
    long = Cancellation(comment="c" * 501)
    assert await codes(made.endings.cancel(ADA, "sub_1", long, "")) == [key, ("COMMENT_TOO_LONG", "comment")]
    assert await codes(made.endings.resume(ADA, "sub_1", "")) == [key]
    assert scripted.calls == []


ERRORS = {
    "a declined card": ({"type": "card_error", "code": "card_declined", "message": "Declined."}, 402, "PAYMENT_FAILED"),
    "anything": ({"type": "invalid_request_error", "message": "no"}, 400, "STRIPE_REFUSED"),
    "gone": ({"type": "invalid_request_error", "code": "resource_missing", "message": "no"}, 404, "STRIPE_REFUSED"),
}


@pytest.mark.parametrize(("error", "status", "code"), ERRORS.values(), ids=ERRORS)
async def test_what_stripe_refuses_is_told(service, scripted, error, status, code):
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", SUB, {"error": error}, status=status)
    assert await codes(service().change(ADA, "sub_1", PlanChange("year"), None)) == [(code, None)]


async def test_what_ended_a_moment_ago_has_ended(service, scripted):
    becomes(scripted, theirs(), theirs(status="canceled"), method="DELETE")
    scripted.refuse("POST", SUB, "resource_missing", status=404)
    assert await codes(service().change(ADA, "sub_1", PlanChange("year"), None)) == [
        ("SUBSCRIPTION_ENDED", "subscriptionId")
    ]


async def test_what_is_paused_is_neither_changed_nor_previewed(service, scripted):
    scripted.answer("GET", SUB, theirs(pause_collection={"behavior": "void"}))
    problems = await codes(service().change(ADA, "sub_1", PlanChange("year"), None))
    assert await codes(service().preview(ADA, "sub_1", PlanChange("year"))) == problems
    assert (problems[0][0], changed(scripted)) == ("SUBSCRIPTION_PAUSED", [])


async def test_what_was_bought_a_moment_ago_is_read(service, scripted, database):
    scripted.answer("GET", f"{LIST}/sub_5", {**theirs(), "id": "sub_5"})
    made = service()
    await made.find("sub_5")
    scripted.refuse("GET", f"{LIST}/sub_6", "resource_missing", status=404)
    await made.find("sub_6")
    await made.find("not an id")
    assert [call[1] for call in scripted.calls] == [f"{LIST}/sub_5", f"{LIST}/sub_6"]
    scripted.answer("GET", f"{LIST}/sub_7", {"error": {"type": "api_error", "message": "no"}}, status=500)
    with pytest.raises(StripeUnavailable):
        await made.find("sub_7")
    scripted.answer("DELETE", f"{LIST}/sub_5", {**theirs(status="canceled"), "id": "sub_5"})
    scripted.answer("GET", f"{LIST}/sub_5", {**theirs(status="canceled"), "id": "sub_5"})
    await made.endings.cancel(ADA, "sub_5", Cancellation(now=True), None)  # it is in the mirror


CONFIRM = {"error": {"type": "card_error", "message": "no", "code": "authentication_required"}}


@pytest.mark.parametrize(("schedule", "problems"), [(SCHEDULE, []), (PLANS, [("CHANGE_PENDING", "subscriptionId")])])
async def test_a_change_whose_payment_must_be_confirmed_waits_for_that(service, scripted, schedule, problems):
    """No schedule keeps it from being made then; what a schedule plans is not given up for it."""
    scripted.answer("POST", SUB, CONFIRM, status=402)
    becomes(scripted, theirs(schedule=schedule), theirs(latest_invoice=bill("year", status="open")))
    released = {**SCHEDULE, "status": "released", "subscription": None}
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", SCHED, released)
    asked = service().change(ADA, "sub_1", PlanChange("year", when=ChangeTime.NOW), "k")
    if problems:
        assert await codes(asked) == problems
        assert [call[1] for call in changed(scripted)] == [SUB]
        return
    await asked
    refused, freed, confirmed, again = changed(scripted)
    assert (refused, freed[1]) == (("POST", SUB, {**TO_YEAR, **HOW}), RELEASE)
    assert confirmed == ("POST", SUB, {**TO_YEAR, **HOW, "payment_behavior": "pending_if_incomplete"})
    assert scripted.keys[2] == f"{scripted.keys[0]}-confirm"
    assert (again, scripted.keys[3]) == (freed, scripted.keys[1])  # which Stripe only repeats


WAITS = {"expires_at": ENDS, "subscription_items": [{"price": {"id": "year"}, "quantity": 1}]}


async def test_a_change_that_waits_for_its_payment_is_not_made_again(service, scripted, fill):
    await fill(invoice("in_1", line(0, 30, price="year"), billing_reason="subscription_update", status="open"))
    unpaid = bill("year", status="open")
    scripted.answer("GET", SUB, theirs(pending_update=WAITS, latest_invoice=unpaid))
    _, billed = await service().change(ADA, "sub_1", PlanChange("year"), None)
    assert (billed.id, changed(scripted)) == ("in_1", [])


async def test_what_waits_for_its_payment_is_undone_with_its_invoice(service, scripted):
    scripted.answer("GET", SUB, theirs(pending_update=WAITS, latest_invoice=bill("year", status="open")))
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", "/v1/invoices/in_1/void", bill("year", status="void"))
    state = await service().cancel_pending(ADA, "sub_1")
    assert ([call[1] for call in changed(scripted)], state.subscription.id) == (["/v1/invoices/in_1/void"], "sub_1")


REFUSED_TOGETHER = {
    "Stripe has paused it": (theirs(status="paused"), PlanChange("year"), ("SUBSCRIPTION_PAUSED", "subscriptionId")),
    "two intervals": (
        with_disk(), entries(TO_YEAR_ITEM, when=ChangeTime.NOW), ("INTERVALS_MIXED", "items"),
    ),
    "periods that end apart": (
        with_disk(ENDS + 9), entries(ItemChange("month", 2, "si_1"), ItemChange("disk", 2, "si_2")),
        ("INTERVALS_MIXED", "items"),
    ),
    "another interval later": (
        with_disk(billing_mode={"type": "flexible"}), entries(TO_YEAR_ITEM), ("INTERVALS_MIXED", "when"),
    ),
    "two of one group": (
        theirs(), entries(ItemChange("disk"), ItemChange("cd"), when=ChangeTime.NOW),
        ("ALREADY_SUBSCRIBED", "priceId"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("present", "wanted", "expected"), REFUSED_TOGETHER.values(), ids=REFUSED_TOGETHER)
async def test_what_does_not_go_together(service, scripted, fill, present, wanted, expected):
    await fill(product("cds", meta={"group": "disks"}), price("cd", "cds", 300))
    scripted.answer("GET", SUB, present)
    scripted.list(LIST, [])
    assert await codes(service().change(ADA, "sub_1", wanted, None)) == [expected]
    assert await codes(service().preview(ADA, "sub_1", wanted)) == [expected]
    assert changed(scripted) == []


async def test_what_a_pause_has_left_unpaid_comes_before_a_change(service, scripted, fill):
    own = {f"paused_by_customer_until_{ENDS}": str(STARTED - 86_400)}
    voided = bill(status="void", status_transitions={"paid_at": None})
    scripted.answer("GET", SUB, theirs(metadata=own, latest_invoice=voided))
    begun, ends = datetime.fromtimestamp(STARTED, UTC), datetime.fromtimestamp(ENDS, UTC)
    period = {"period_start": STARTED, "period_end": ENDS}
    moments = {"created": begun, "service_end": ends, "paid_at": None}
    await fill(invoice("in_2", line(0, 30, **period), status="void", **moments))
    assert await codes(service().change(ADA, "sub_1", PlanChange("year"), None)) == [
        ("SUBSCRIPTION_PAUSED", "subscriptionId")
    ]


async def test_what_goes_with_a_change_excludes_nothing_that_comes_with_it(service, scripted):
    becomes(scripted, with_disk(), theirs("disk"))
    scripted.list(LIST, [])
    change = entries(ItemChange("disk", item_id="si_1"), NO_DISK, when=ChangeTime.NOW)
    await service().change(ADA, "sub_1", change, None)
    assert [call[1] for call in changed(scripted)] == [SUB]
