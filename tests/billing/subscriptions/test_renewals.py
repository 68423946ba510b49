"""What a quote says of the next renewal where a discount runs out before it, or is used up by the change."""

from datetime import UTC, datetime

import pytest

from gateway.billing.subscriptions.renewals import Left, as_if_now, left_over, runs_out
from harness.subscriptions import customer, price_id, settled, subscribe

QUOTE = """query($subscriptionId: ID!, $priceId: ID!, $when: ChangeTime) { viewer {
    quoteChange(subscriptionId: $subscriptionId, priceId: $priceId, when: $when) {
      preview { dueAtRenewal { amount } renewsAt prorationDate } } } }"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { dueAtRenewal { amount } } userErrors { code } } }"""


def discount(id: str, duration: str, end: int | None = None) -> dict:
    return {"id": id, "end": end, "source": {"coupon": {"duration": duration}}}


EVER, ONCE, MONTHS = discount("ever", "forever"), discount("once", "once"), discount("months", "repeating", 1000)


def reduced(own=(), customers=None, items=()) -> dict:
    """A subscription with discounts, its customer's, and those of its item."""
    data = [{"id": "plan", "discounts": list(items)}]
    return {"discounts": list(own), "customer": {"discount": customers}, "items": {"data": data}}


@pytest.mark.parametrize(
    ("subscription", "at", "billed", "whole", "of_items"),
    [
        (reduced([EVER, ONCE, MONTHS]), 999, False, ["ever", "once", "months"], {}),
        (reduced([EVER, ONCE, MONTHS]), 999, True, ["ever", "months"], {}),
        (reduced([EVER, ONCE, MONTHS]), 1000, False, ["ever", "once"], {}),
        (reduced([MONTHS]), 1001, True, [], {}),
        (reduced([], MONTHS), 999, True, ["months"], {}),
        (reduced([], MONTHS), 1000, True, [], {}),
        (reduced([], ONCE), 999, True, [], {}),
        (reduced([EVER], ONCE), 999, True, ["ever"], {}),
        (reduced([MONTHS], ONCE), 1000, True, ["once"], {}),  # which the change's invoice has not used
        (reduced([], None, [EVER, MONTHS, ONCE]), 1000, True, [], {"plan": ["ever"]}),
        (reduced([], None, [EVER]), 1000, True, [], {}),
    ],
)
def test_which_discounts_a_renewal_will_have(subscription, at, billed, whole, of_items):
    assert left_over(subscription, datetime.fromtimestamp(at, UTC), billed=billed) == Left(whole, of_items)


@pytest.mark.parametrize("found", [[], [EVER], [EVER, ONCE], [MONTHS]])
def test_stripe_is_asked_again_only_where_a_discount_runs_out(found):
    ever = found in ([], [EVER])
    one = found[-1] if found else None
    assert [runs_out(each) for each in (reduced(found), reduced([], one), reduced([], None, found))] == [not ever] * 3


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
    asked = as_if_now(subscription, [target], {"other", "disk"}, Left(["d"], {}))
    details = {"items": [target, {"id": "year", "deleted": True}], "proration_behavior": "none", **begins}
    whole = {"subscription": "sub", "preview_mode": "recurring", "discounts": [{"discount": "d"}]}
    assert asked == whole | {"subscription_details": details}
    goes = {"id": "plan", "deleted": True}
    asked = as_if_now(subscription, [goes], {"disk"}, Left([], {"plan": ["a"]}))
    assert asked["subscription_details"]["items"][0] == goes
    comes = {"price": "backup", "quantity": 2}  # by the year: neither is billed at the next renewal
    asked = as_if_now(subscription, [target, comes], {"disk"}, Left(["d"], {"plan": ["a"]}))
    assert asked["subscription_details"]["items"] == [{"id": each, "deleted": True} for each in ("plan", "year")]
    assert as_if_now(subscription, [target], set(), Left([], {}))["discounts"] == ""  # none, also not the customer's
    of_items = Left([], {"plan": ["a"], "disk": [], "year": ["b"]})
    asked = as_if_now(subscription, [target], {"other", "disk"}, of_items)["subscription_details"]["items"]
    assert asked[:2] == [target | {"discounts": [{"discount": "a"}]}, {"id": "disk", "discounts": ""}]
    assert asked[2:] == [{"id": "year", "deleted": True}]


TWO_MONTHS, NEXT = {"duration": "repeating", "duration_in_months": 2}, {"duration": "once"}


def reduce(world, bought: dict, place: str, coupon: str) -> None:
    """Put a coupon on a subscription, its item or its customer, which only versions before basil can."""
    if place == "customer":
        headers = {"Authorization": "Bearer sk_test_tests", "Stripe-Version": "2024-06-20"}
        url = f"{world.stripe_url}/v1/customers/{bought['customer']}"
        assert world.client.post(url, headers=headers, data={"coupon": coupon}).is_success
        return
    path = (
        f"subscription_items/{bought['items']['data'][0]['id']}" if place == "item" else f"subscriptions/{bought['id']}"
    )
    world.stripe("POST", f"/v1/{path}", **{"discounts[0][coupon]": coupon})


@pytest.mark.parametrize(
    ("mode", "plans", "coupon", "when", "place"),
    [
        ("classic", ("starter_monthly", "pro_yearly"), TWO_MONTHS, "NOW", "subscription"),
        ("flexible", ("starter_monthly", "pro_monthly"), NEXT, "NOW", "subscription"),
        ("flexible", ("starter_monthly", "pro_yearly"), TWO_MONTHS, "AT_PERIOD_END", "subscription"),
        ("classic", ("pro_yearly", "starter_monthly"), TWO_MONTHS, "AT_PERIOD_END", "subscription"),
        ("classic", ("starter_monthly", "pro_yearly"), TWO_MONTHS, "NOW", "item"),
        ("flexible", ("starter_monthly", "pro_monthly"), NEXT, "NOW", "item"),
        ("flexible", ("starter_monthly", "pro_monthly"), NEXT, "NOW", "customer"),
    ],
)
def test_the_renewal_is_billed_as_quoted_where_a_coupon_runs_out(world, mode, plans, coupon, when, place):
    """Stripe's own preview of recurring costs knows neither: it said half, or the whole, of what was billed then."""
    me = world.token("ann")
    bought = subscribe(world, customer(world, "ann"), plans[0], **{"billing_mode[type]": mode})
    reduce(world, bought, place, world.stripe("POST", "/v1/coupons", percent_off=50, **coupon)["id"])
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
