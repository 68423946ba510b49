"""Previews of changes and of renewals, asked of a scripted Stripe."""

from datetime import UTC, datetime

import pytest

from gateway.billing.subscriptions.change_request import ChangeTime, ItemChange, PlanChange
from gateway.errors import BadInput
from gateway.models.mirrored import SubscriptionSchedule
from harness.rejected import codes
from harness.rows import price
from harness.scripted_subscription import ADA, LATER, NO_DISK, PREVIEW, SUB, changed, entries, with_disk
from harness.stripe_objects import ENDS, NOW, STARTED, bill, theirs


async def test_what_a_renewal_comes_to_also_with_what_is_planned(service, scripted, fill):
    made = service()
    scripted.answer("POST", PREVIEW, bill(total=555))
    assert await made.due_at_renewal("sub_1") == 555
    assert changed(scripted) == [("POST", PREVIEW, {"subscription": "sub_1"})]
    scripted.calls.clear()
    scripted.forget()
    await fill(SubscriptionSchedule(id="sched_1", as_of=0, subscription_id="sub_1", status="active", phases=[]))
    scripted.answer("POST", PREVIEW, bill(total=777))
    assert await made.due_at_renewal("sub_1") == 777
    assert changed(scripted) == [("POST", PREVIEW, {"schedule": "sched_1"})]
    scripted.forget()
    scripted.refuse("POST", PREVIEW, "invoice_upcoming_none")
    assert await made.due_at_renewal("sub_1") is None


async def test_a_preview_asks_for_what_is_due_and_for_what_a_renewal_costs(service, scripted, database):
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", PREVIEW, bill("year", proration=True))
    made = service()
    quote = await made.preview(ADA, "sub_1", PlanChange("year", 2))
    items = {f"subscription_details[items][0][{name}]": text for name, text in (("id", "si_1"), ("price", "year"))}
    items["subscription_details[items][0][quantity]"] = "2"
    behaviour = "subscription_details[proration_behavior]"
    asked = [{"subscription": "sub_1", "preview_mode": mode, **items, behaviour: how}
             for mode, how in (("next", "always_invoice"), ("recurring", "none"))]  # fmt: skip
    assert sorted((call[2] for call in changed(scripted)), key=lambda each: each["preview_mode"]) == asked
    assert len(set(scripted.keys)) == 2
    assert (quote.due_now, quote.due_at_renewal, quote.proration_date.timestamp()) == (900, 900, STARTED)


async def test_a_quote_is_remembered_with_the_state_it_was_made_from(service, scripted):
    recent = int(NOW.timestamp())
    scripted.answer("GET", SUB, theirs())
    details = {"subscription": "sub_1", "subscription_proration_date": recent}
    scripted.answer("POST", PREVIEW, bill("year", parent={"subscription_details": details}))
    made = service()
    quote = await made.preview(ADA, "sub_1", PlanChange("year"))
    assert quote.proration_date == NOW
    scripted.answer("GET", SUB, theirs())
    scripted.answer("GET", SUB, theirs(quantity=2))
    wanted = PlanChange("year", proration_date=quote.proration_date)
    scripted.answer("POST", SUB, theirs("year"))
    await made.change(ADA, "sub_1", wanted, None)
    assert await codes(made.change(ADA, "sub_1", wanted, None)) == [("PREVIEW_EXPIRED", "prorationDate")]


async def test_a_preview_of_a_change_that_waits_costs_nothing_now(service, scripted):
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", PREVIEW, bill("year"))
    quote = await service().preview(ADA, "sub_1", LATER)
    assert (quote.due_now, quote.at, quote.renews_at) == (0, *[datetime.fromtimestamp(ENDS, UTC)] * 2)
    assert [call[2]["preview_mode"] for call in changed(scripted)] == ["recurring"]


async def test_a_preview_that_stripe_refuses_is_a_wrong_request(service, scripted):
    scripted.answer("GET", SUB, theirs())
    scripted.refuse("POST", PREVIEW, "no")
    with pytest.raises(BadInput, match="no"):
        await service().preview(ADA, "sub_1", PlanChange("year"))


@pytest.mark.parametrize(("to", "waits"), [("small", True), ("big", False)])
async def test_by_the_setting_what_is_less_waits_and_what_is_more_does_not(service, scripted, fill, to, waits):
    await fill(price("small", "pro", 300), price("big", "pro", 5000))
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", PREVIEW, bill(to))
    quote = await service(change_time="automatic").preview(ADA, "sub_1", PlanChange(to))
    assert quote.at == (datetime.fromtimestamp(ENDS, UTC) if waits else None)


def of_lines(**starts: int) -> dict:
    """A previewed renewal of some prices, each for thirty days from its moment."""
    lines = []
    for name, start in starts.items():
        (one,) = bill(name)["lines"]["data"]
        lines.append({**one, "id": f"il_{name}", "period": {"start": start, "end": start + 30 * 86_400}})
    return bill(lines={"data": lines})


AFTER = ENDS + 5 * 86_400
RENEWED = {
    "when the new plan is billed": (with_disk(), PlanChange("year", item_id="si_1", when=ChangeTime.NOW), "year", ENDS),
    "when what stays is billed": (with_disk(), entries(NO_DISK, when=ChangeTime.NOW), "month", ENDS),
    "when a change that waits is made": (theirs(), LATER, "other", ENDS),
    "not when something only goes": (with_disk(AFTER), entries(ItemChange(item_id="si_1", remove=True)), "disk", AFTER),
}


@pytest.mark.parametrize(("present", "wanted", "billed", "expected"), RENEWED.values(), ids=RENEWED)
async def test_when_the_renewal_after_a_change_is(service, scripted, present, wanted, billed, expected):
    """Whatever else is billed another day."""
    present = {**present, "billing_mode": {"type": "flexible"}}
    scripted.answer("GET", SUB, present)
    lines = {"extra": AFTER + 86_400, "disk": AFTER, billed: expected}
    scripted.answer("POST", PREVIEW, of_lines(**lines))
    quote = await service().preview(ADA, "sub_1", wanted)
    assert int(quote.renews_at.timestamp()) == expected


@pytest.mark.parametrize(("when", "left"), [(ChangeTime.NOW, ""), (ChangeTime.AT_PERIOD_END, "di_1")])
async def test_a_discount_of_one_invoice_is_used_up_by_a_change_at_once(service, scripted, when, left):
    once = {"id": "half", "object": "coupon", "duration": "once", "percent_off": 50}
    once |= dict.fromkeys(("name", "amount_off", "currency", "duration_in_months"))
    discount = {"id": "di_1", "object": "discount", "customer": "cus_1", "promotion_code": None, "start": STARTED}
    discount |= {"end": None, "source": {"type": "coupon", "coupon": once}}
    scripted.answer("GET", SUB, theirs(discounts=[discount]))
    scripted.answer("GET", "/v1/coupons/half", once)
    for total in (900, 900, 450)[when is ChangeTime.AT_PERIOD_END :]:
        scripted.answer("POST", PREVIEW, bill("year", total=total))
    quote = await service().preview(ADA, "sub_1", PlanChange("year", when=when))
    *_, (_, _, asked) = changed(scripted)
    details = {f"items][0][{name}": text for name, text in (("id", "si_1"), ("price", "year"), ("quantity", "1"))}
    details |= {"proration_behavior": "none", "billing_cycle_anchor][type": "now"}
    expected = {"subscription": "sub_1", "preview_mode": "recurring"}
    expected |= {f"subscription_details[{name}]": text for name, text in details.items()}
    expected |= {"discounts[0][discount]": left} if left else {"discounts": ""}
    assert (asked, quote.due_at_renewal) == (expected, 450)
