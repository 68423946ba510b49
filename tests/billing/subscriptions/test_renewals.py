"""What a quote says of the next renewal where a discount runs out before it, or is used up by the change."""

from datetime import UTC, datetime

import pytest

from gateway.billing.subscriptions.renewals import as_if_now, left_over, runs_out
from harness.subscriptions import customer, price_id, settled, subscribe

QUOTE = """query($subscriptionId: ID!, $priceId: ID!, $when: ChangeTime) { viewer {
    quoteChange(subscriptionId: $subscriptionId, priceId: $priceId, when: $when) {
      preview { dueAtRenewal { amount } renewsAt prorationDate } } } }"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { dueAtRenewal { amount } } userErrors { code } } }"""


def discount(id: str, duration: str, end: int | None = None) -> dict:
    return {"id": id, "end": end, "source": {"coupon": {"duration": duration}}}


EVER, ONCE, MONTHS = discount("ever", "forever"), discount("once", "once"), discount("months", "repeating", 1000)


@pytest.mark.parametrize(
    ("discounts", "at", "billed", "left"),
    [
        ([EVER, ONCE, MONTHS], 999, False, ["ever", "once", "months"]),
        ([EVER, ONCE, MONTHS], 999, True, ["ever", "months"]),
        ([EVER, ONCE, MONTHS], 1000, False, ["ever", "once"]),
        ([MONTHS], 1001, True, []),
    ],
)
def test_which_discounts_a_renewal_will_have(discounts, at, billed, left):
    assert left_over(discounts, datetime.fromtimestamp(at, UTC), billed=billed) == left


def test_stripe_is_asked_again_only_where_a_discount_runs_out():
    assert [runs_out(each) for each in ([], [EVER], [EVER, ONCE], [MONTHS])] == [False, False, True, True]


@pytest.mark.parametrize(
    ("status", "begins"),
    [("active", {"billing_cycle_anchor": {"type": "now"}}), ("trialing", {"trial_end": "now"})],
)
def test_a_renewal_as_if_it_were_now_bills_what_renews_then(status, begins):
    items = [
        {"id": name, "price": {"id": name}, "quantity": n} for name, n in (("plan", 1), ("disk", 2), ("use", None))
    ]
    subscription = {
        "id": "sub",
        "status": status,
        "items": {"data": [*items, {**items[0], "id": "year", "price": {"id": "year"}}]},
    }
    target = {"id": "plan", "price": "other", "quantity": 1}
    asked = as_if_now(subscription, [target], {"other", "disk"}, ["d"])
    details = {"items": [target, {"id": "year", "deleted": True}], "proration_behavior": "none", **begins}
    assert asked["subscription_details"] == details
    assert asked["discounts"] == [{"discount": "d"}]
    comes = {"price": "backup", "quantity": 2}  # by the year: neither is billed at the next renewal
    asked = as_if_now(subscription, [target, comes], {"disk"}, ["d"])
    assert asked["subscription_details"]["items"] == [{"id": each, "deleted": True} for each in ("plan", "year")]
    assert as_if_now(subscription, [target], set(), [])["discounts"] == ""  # none, also not the customer's


@pytest.mark.parametrize(
    ("mode", "plans", "coupon", "when"),
    [
        ("classic", ("starter_monthly", "pro_yearly"), {"duration": "repeating", "duration_in_months": 2}, "NOW"),
        ("flexible", ("starter_monthly", "pro_monthly"), {"duration": "once"}, "NOW"),
        (
            "flexible",
            ("starter_monthly", "pro_yearly"),
            {"duration": "repeating", "duration_in_months": 2},
            "AT_PERIOD_END",
        ),
        (
            "classic",
            ("pro_yearly", "starter_monthly"),
            {"duration": "repeating", "duration_in_months": 2},
            "AT_PERIOD_END",
        ),
    ],
)
def test_the_renewal_is_billed_as_quoted_where_a_coupon_runs_out(world, mode, plans, coupon, when):
    """Stripe's own preview of recurring costs knows neither: it said half, or the whole, of what was billed then."""
    me = world.token("ann")
    bought = subscribe(world, customer(world, "ann"), plans[0], **{"billing_mode[type]": mode})
    made = world.stripe("POST", "/v1/coupons", percent_off=50, **coupon)
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", **{"discounts[0][coupon]": made["id"]})
    settled(world, bought["id"])
    asked = {"subscriptionId": bought["id"], "priceId": price_id(world, plans[1]), "when": when}
    quote = world.data(QUOTE, asked, me)["viewer"]["quoteChange"]["preview"]
    changed = world.data(CHANGE, {"input": {**asked, "prorationDate": quote["prorationDate"]}}, me)[
        "changeSubscription"
    ]
    assert changed == {"subscription": {"dueAtRenewal": quote["dueAtRenewal"]}, "userErrors": []}
    world.advance(to=int(datetime.fromisoformat(quote["renewsAt"]).timestamp()) + 2 * 3600)
    newest = world.stripe("GET", "/v1/invoices", subscription=bought["id"])["data"][0]
    assert (newest["billing_reason"], newest["total"]) == ("subscription_cycle", quote["dueAtRenewal"]["amount"])
