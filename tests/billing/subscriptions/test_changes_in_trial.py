"""Changes and previews within a trial, asked of a scripted Stripe: when it goes on, and when it ends."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.billing.subscriptions.change_request import PlanChange
from gateway.billing.subscriptions.quotes import remember
from harness.rejected import codes
from harness.rows import price
from harness.scripted_subscription import ADA, HOW, LATER, PREVIEW, SUB, TO_YEAR, becomes, changed
from harness.stripe_objects import ENDS, NOW, STARTED, bill, theirs


async def test_in_a_trial_nothing_is_due_and_before_an_end_nothing_is_renewed(service, scripted):
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS}
    scripted.answer("GET", SUB, theirs(latest_invoice=None, **trial))
    scripted.refuse("POST", PREVIEW, "invoice_upcoming_none")
    quote = await service().preview(ADA, "sub_1", PlanChange("month", 2))
    assert (quote.due_now, quote.due_at_renewal, len(changed(scripted))) == (0, None, 1)
    assert quote.trial_end == datetime.fromtimestamp(ENDS, UTC)


@pytest.mark.parametrize("behavior", ["create_invoice", "pause", "cancel"])
async def test_a_change_to_a_plan_without_a_trial_ends_the_trial(service, scripted, behavior):
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS, "latest_invoice": None}
    settings = {"trial_settings": {"end_behavior": {"missing_payment_method": behavior}}}
    scripted.answer("GET", "/v1/customers/cus_1", {"id": "cus_1", "default_source": "card_1"})
    becomes(scripted, theirs(**trial, **settings), theirs("year", latest_invoice=bill("year")))
    await service().change(ADA, "sub_1", PlanChange("year"), None)
    assert changed(scripted) == [("POST", SUB, {**TO_YEAR, **HOW, "trial_end": "now"})]
    asked = [call[1] for call in scripted.calls if call[1].startswith("/v1/customers")]
    assert asked == ([] if behavior == "create_invoice" else ["/v1/customers/cus_1"])


@pytest.mark.parametrize(("minutes", "expired"), [(1, True), (None, False)])
async def test_a_trial_that_has_run_out_since_its_quote_is_not_charged(
    service, scripted, database, fill, minutes, expired
):
    """The quick plan's day of trial, from the beginning of the first one, is over now and was not a minute ago."""
    await fill(price("quick", "pro", 9000, trial_period_days=1))
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS, "latest_invoice": None}
    becomes(scripted, theirs(**trial), theirs("quick"))
    quoted = NOW - timedelta(minutes=minutes) if minutes else None
    if quoted:
        await remember(database, theirs(**trial), quoted)
    change = service().change(ADA, "sub_1", PlanChange("quick", proration_date=quoted), None)
    if expired:
        assert await codes(change) == [("PREVIEW_EXPIRED", "prorationDate")]
    else:
        await change
    assert [call[2].get("trial_end") for call in changed(scripted)] == ([] if expired else ["now"])


async def test_a_trial_is_not_ended_where_nothing_would_pay(service, scripted):
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS, "latest_invoice": None}
    trial |= {"trial_settings": {"end_behavior": {"missing_payment_method": "pause"}}}
    scripted.answer("GET", SUB, theirs(**trial))
    scripted.answer("GET", "/v1/customers/cus_1", {"id": "cus_1", "default_source": None})
    for asked in (
        service().change(ADA, "sub_1", PlanChange("year"), None),
        service().preview(ADA, "sub_1", PlanChange("year")),
    ):
        assert await codes(asked) == [("PAYMENT_METHOD_NEEDED", "subscriptionId")]
    assert changed(scripted) == []


async def test_the_preview_of_such_a_change_is_charged_now(service, scripted):
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS, "latest_invoice": None}
    scripted.answer("GET", SUB, theirs(**trial))
    scripted.answer("POST", PREVIEW, bill("year"))
    quote = await service().preview(ADA, "sub_1", PlanChange("year"))
    assert [call[2]["subscription_details[trial_end]"] for call in changed(scripted)] == ["now", "now"]
    assert (quote.due_now, quote.trial_end) == (900, None)


async def test_a_change_that_waits_leaves_the_trial_alone(service, scripted):
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS, "latest_invoice": None}
    scripted.answer("GET", SUB, theirs(**trial))
    scripted.answer("POST", PREVIEW, bill("year"))
    quote = await service().preview(ADA, "sub_1", LATER)
    assert (quote.trial_end, quote.due_now) == (datetime.fromtimestamp(ENDS, UTC), 0)
    (call,) = changed(scripted)
    assert "subscription_details[trial_end]" not in call[2]


IN_TRIAL = {"status": "trialing", "trial_start": STARTED, "latest_invoice": None}
RISEN = str(12 * 4100)
TRIALS = {
    "as long as the plan's": (ENDS, PlanChange("month", 2), {}),
    "longer, of a dearer price by now": (
        ENDS + 86_400 * 60, PlanChange("big"), {"metadata[given_trial_dearer_by]": RISEN},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("ends", "wanted", "said"), TRIALS.values(), ids=TRIALS)
async def test_a_trial_goes_on_and_a_given_one_keeps_in_mind_what_for(service, scripted, fill, ends, wanted, said):
    await fill(price("big", "pro", 5000))
    becomes(scripted, theirs(trial_end=ends, **IN_TRIAL))
    await service().change(ADA, "sub_1", wanted, None)
    ((_, _, sent),) = changed(scripted)
    assert "trial_end" not in sent
    assert {name: text for name, text in sent.items() if name.startswith("metadata")} == said
