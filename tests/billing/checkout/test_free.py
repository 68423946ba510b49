"""What costs nothing at first is started without a card, and nothing else is."""

import pytest

from harness.checkout import opened
from harness.databases import postgres_later
from harness.gateway import make_world
from harness.subscriptions import price_id

START = """mutation($input: StartSubscriptionInput!) { startSubscription(input: $input) {
    subscription { id status plan { id } trialEnd access { allowed } discounts { percentOff } }
    userErrors { code field } } }"""
PLAN = {"recurring[interval]": "month"}


@pytest.fixture
def free(database_url):
    with make_world(database_url, free_without_card=True) as world:
        yield world


@pytest.fixture
def ann(free) -> dict[str, str]:
    return free.token("ann")


def start(world, me, *prices: str, **more) -> dict:
    given = {"lineItems": [{"priceId": price} for price in prices], **more}
    return world.data(START, {"input": given}, me)["startSubscription"]


def codes(payload: dict) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def plan(world, amount: int, **form) -> str:
    product = world.stripe("POST", "/v1/products", name="Some plan", **form)["id"]
    made = world.stripe("POST", "/v1/prices", product=product, currency="usd", unit_amount=amount, **PLAN)["id"]
    world.eventually(lambda: world.rows("price", id=made))
    return made


def asked(world, me, verb: str, **given) -> list[str]:
    kind = f"{verb[0].upper()}{verb[1:]}Input"
    query = f"mutation($input: {kind}!) {{ {verb}(input: $input) {{ userErrors {{ code }} }} }}"
    return codes(world.data(query, {"input": given}, me)[verb])


def goes_on_once_it_is_paid(world, me, subscription: str) -> None:
    """Ask for the resumption of what nothing pays: one invoice is made of it, however often."""
    for _ in range(2):
        assert asked(world, me, "resumeSubscription", subscriptionId=subscription, idempotencyKey="k") == [
            "INVOICE_UNPAID"
        ]
    bills = world.stripe("GET", "/v1/invoices", subscription=subscription)["data"]
    assert [each["status"] for each in bills] == ["open", "paid"]
    world.stripe("POST", f"/v1/invoices/{bills[0]['id']}/void")
    assert asked(world, me, "resumeSubscription", subscriptionId=subscription, idempotencyKey="k") == ["INVOICE_UNPAID"]
    bills = world.stripe("GET", "/v1/invoices", subscription=subscription)["data"]
    assert [each["status"] for each in bills] == ["open", "void", "paid"]


@postgres_later
def test_a_free_plan_a_trial_and_what_a_code_makes_free(free, ann):
    nothing = plan(free, 0)
    done = start(free, ann, nothing, idempotencyKey="one")
    assert (codes(done), done["subscription"]["status"], done["subscription"]["access"]["allowed"]) == (
        [],
        "ACTIVE",
        True,
    )
    assert start(free, ann, nothing, idempotencyKey="one") == done
    assert codes(start(free, ann, nothing)) == ["ALREADY_SUBSCRIBED"]

    bob = free.token("bob")
    trial = start(free, bob, price_id(free, "pro_monthly"))["subscription"]
    assert (trial["status"], trial["trialEnd"] is not None) == ("TRIALING", True)
    theirs = free.stripe("GET", f"/v1/subscriptions/{trial['id']}")
    assert theirs["trial_settings"]["end_behavior"]["missing_payment_method"] == "pause"
    free.advance(to=theirs["trial_end"] + 7200)
    query = "{ viewer { subscription { status access { allowed } } } }"
    paused = {"status": "PAUSED", "access": {"allowed": False}}
    free.eventually(lambda: free.data(query, headers=bob)["viewer"]["subscription"], paused)
    goes_on_once_it_is_paid(free, bob, trial["id"])
    its = {"subscriptionId": trial["id"]}
    starter = {**its, "priceId": price_id(free, "starter_monthly"), "when": "NOW"}
    assert asked(free, bob, "changeSubscription", **starter) == ["SUBSCRIPTION_PAUSED"]
    assert asked(free, bob, "cancelSubscription", **its) == []
    assert free.stripe("GET", f"/v1/subscriptions/{trial['id']}")["status"] == "canceled"  # no period went on
    again = start(free, bob, price_id(free, "pro_monthly"))
    assert codes(again) == ["CHECKOUT_NEEDED"]  # one trial each

    gift = free.stripe("POST", "/v1/coupons", percent_off=100, duration="forever")["id"]
    free.stripe("POST", "/v1/promotion_codes", code="GIFT", **{"promotion[type]": "coupon", "promotion[coupon]": gift})
    given = start(free, free.token("cleo"), price_id(free, "starter_monthly"), promotionCode="gift")
    assert (codes(given), given["subscription"]["discounts"]) == ([], [{"percentOff": 100}])
    month = free.stripe("POST", "/v1/coupons", percent_off=100, duration="once")["id"]
    free.stripe(
        "POST", "/v1/promotion_codes", code="MONTH", **{"promotion[type]": "coupon", "promotion[coupon]": month}
    )
    dan = free.token("dan")
    first = start(free, dan, price_id(free, "starter_monthly"), promotionCode="MONTH")
    assert codes(first) == []
    free.eventually(lambda: free.rows("discount", coupon_id=month))
    assert asked(free, dan, "cancelSubscription", subscriptionId=first["subscription"]["id"], when="NOW") == []
    again = start(free, dan, price_id(free, "starter_monthly"), promotionCode="MONTH")
    assert codes(again) == ["PROMOTION_CODE_INVALID"]  # a free month each month
    free._execute(
        "UPDATE customer SET payer_unverified = true, default_payment_method_id = 'pm_1' WHERE external_id = 'dan'"
    )
    # his customer has a card that is not proved to be his, which Stripe would charge later
    assert codes(start(free, dan, plan(free, 0))) == ["PAYMENT_METHOD_NEEDED"]
    page = free.stripe("GET", f"/v1/checkout/sessions/{opened(free, dan, 'pro_monthly')['id']}")
    assert page["payment_method_collection"] == "always"


def test_what_costs_something_is_not_started(free, ann):
    starter = price_id(free, "starter_monthly")
    half = free.stripe("POST", "/v1/coupons", percent_off=50, duration="once")["id"]
    free.stripe("POST", "/v1/promotion_codes", code="HALF", **{"promotion[type]": "coupon", "promotion[coupon]": half})
    assert codes(start(free, ann, starter)) == ["CHECKOUT_NEEDED"]
    assert codes(start(free, ann, starter, promotionCode="HALF")) == ["CHECKOUT_NEEDED"]
    assert codes(start(free, ann, starter, promotionCode="NOTHING")) == ["PROMOTION_CODE_INVALID"]
    assert codes(start(free, ann, plan(free, 0), price_id(free, "credits_100"))) == ["CHECKOUT_NEEDED"]
    other = {"input": {"lineItems": [{"priceId": starter}], "externalId": "bob"}}
    (error,) = free.graphql(START, other, ann).json()["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
    (customer,) = free.rows("customer", external_id="ann")
    assert free.stripe("GET", "/v1/subscriptions", customer=customer["id"], status="all")["data"] == []


def test_the_hosted_page_asks_for_a_card_only_where_something_is_due(free, ann):
    session = opened(free, ann, "pro_monthly")
    assert free.stripe("GET", f"/v1/checkout/sessions/{session['id']}")["payment_method_collection"] == "if_required"


def test_without_the_setting_a_card_is_asked_for(world):
    assert codes(start(world, world.token("ann"), plan(world, 0))) == ["CHECKOUT_NEEDED"]
    session = opened(world, world.token("ann"), "pro_monthly")
    assert world.stripe("GET", f"/v1/checkout/sessions/{session['id']}")["payment_method_collection"] == "always"
