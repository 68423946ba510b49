"""Codes on a running subscription, offers to who leaves, and what invoices say of discounts, taxes and refunds."""

from datetime import datetime

import pytest

from harness.checkout import opened, pay
from harness.databases import both_databases, postgres_later
from harness.gateway import SERVICE_TOKEN
from harness.subscriptions import customer, settled, subscribe

DISCOUNTS = "discounts { couponId name percentOff amountOff { amount } once endsAt byCode }"
APPLY = f"""mutation($input: ApplyPromotionCodeInput!) {{ applyPromotionCode(input: $input) {{
    subscription {{ {DISCOUNTS} dueAtRenewal {{ amount }} }} userErrors {{ code field }} }} }}"""
OFFER = """mutation($input: OfferRetentionCouponInput!) { offerRetentionCoupon(input: $input) {
    subscription { retentionOffer { expiresAt discount { percentOff } } } userErrors { code field } } }"""
ACCEPT = f"""mutation($input: AcceptRetentionOfferInput!) {{ acceptRetentionOffer(input: $input) {{
    subscription {{ willCancel {DISCOUNTS} retentionOffer {{ expiresAt }} dueAtRenewal {{ amount }} }}
    userErrors {{ code field }} }} }}"""
RESUME = "mutation($input: ResumeSubscriptionInput!) { resumeSubscription(input: $input) { userErrors { code } } }"
CANCEL = """mutation($input: CancelSubscriptionInput!) { cancelSubscription(input: $input) {
    subscription { willCancel retentionOffer { discount { percentOff } } } userErrors { code } } }"""
INVOICES = f"""{{ viewer {{ invoices {{ nodes {{ id subtotal {{ amount }} discount {{ amount }} {DISCOUNTS}
    refunded {{ amount }} tax {{ amount }} taxLines {{ amount {{ amount }} taxableAmount {{ amount }} inclusive name
    percentage }} total {{ amount }} }} }} }} }}"""
BACK_END = {"Authorization": f"Bearer {SERVICE_TOKEN}"}


@pytest.fixture
def ann(world) -> dict[str, str]:
    return world.token("ann")


def coupon(world, **form) -> str:
    return world.stripe("POST", "/v1/coupons", **form)["id"]


def code(world, text: str, **form) -> str:
    """A promotion code for a coupon."""
    restrictions = {name: form.pop(name) for name in list(form) if name.startswith("restrictions")}
    own = {"customer": form.pop("customer")} if "customer" in form else {}
    promotion = {"promotion[type]": "coupon", "promotion[coupon]": coupon(world, **form)}
    world.stripe("POST", "/v1/promotion_codes", code=text, **promotion, **restrictions, **own)
    return text


def apply(world, me, subscription: dict, text: str) -> dict:
    given = {"subscriptionId": subscription["id"], "promotionCode": text}
    return world.data(APPLY, {"input": given}, me)["applyPromotionCode"]


def codes(payload: dict) -> list[tuple[str, str | None]]:
    return [(error["code"], error.get("field")) for error in payload["userErrors"]]


def renewed(world, subscription: dict) -> int:
    """The total of the renewal's invoice."""
    theirs = world.stripe("GET", f"/v1/subscriptions/{subscription['id']}")
    world.advance(to=min(item["current_period_end"] for item in theirs["items"]["data"]) + 2 * 3600)
    return settled(world, subscription["id"])["latest_invoice"]["total"]


@postgres_later
@pytest.mark.parametrize("mode", ["classic", "flexible"])
def test_a_code_reduces_the_renewals_to_the_minor_unit_and_is_used_once(world, ann, mode):
    bought = subscribe(world, customer(world, "ann"), "pro_monthly", **{"billing_mode[type]": mode})
    code(world, "SPRING", percent_off=33.3, duration="once", name="Spring")
    done = apply(world, ann, bought, " spring ")
    (given,) = done["subscription"]["discounts"]
    assert (codes(done), given["name"], given["percentOff"], given["once"], given["byCode"]) == (
        [],
        "Spring",
        33.3,
        True,
        True,
    )
    again = apply(world, ann, bought, "SPRING")
    assert again == done
    said = done["subscription"]["dueAtRenewal"]["amount"]
    assert renewed(world, bought) == said == 2900 - round(2900 * 0.333)

    def first() -> dict:
        (newest, *_) = world.data(INVOICES, headers=ann)["viewer"]["invoices"]["nodes"]
        return newest

    world.eventually(lambda: first()["discount"]["amount"], 2900 - said)
    (named,) = first()["discounts"]
    assert (named["name"], first()["refunded"]["amount"]) == ("Spring", 0)
    world.eventually(
        lambda: world.data("{ viewer { subscription { discounts { name } } } }", headers=ann),
        {"viewer": {"subscription": {"discounts": []}}},
    )
    assert codes(apply(world, ann, bought, "SPRING")) == [("PROMOTION_CODE_INVALID", "promotionCode")]
    assert renewed(world, bought) == 2900


def test_which_codes_a_buyer_cannot_use(world, ann):
    bought = subscribe(world, customer(world, "ann"))
    (bob,) = [customer(world, "bob")]
    half = {"percent_off": 50, "duration": "forever"}
    code(world, "BOBS", customer=bob, **half)
    code(world, "FIRST", **half, **{"restrictions[first_time_transaction]": "true"})
    big = {"restrictions[minimum_amount]": 1000, "restrictions[minimum_amount_currency]": "usd"}
    code(world, "BIG", **half, **big)
    code(world, "ONE", **half)
    code(world, "TWO", amount_off=100, currency="usd", duration="forever")
    invalid = [("PROMOTION_CODE_INVALID", "promotionCode")]
    for text in ("NOTHING", "", "  ", "x" * 501, "BOBS", "FIRST", "BIG"):
        assert codes(apply(world, ann, bought, text)) == invalid, text
    assert codes(apply(world, ann, bought, "ONE")) == []
    assert codes(apply(world, ann, bought, "TWO")) == invalid  # one at a time
    foreign = {"subscriptionId": subscribe(world, bob)["id"], "promotionCode": "TWO"}
    (error,) = world.graphql(APPLY, {"input": foreign}, ann).json()["errors"]
    assert error["extensions"]["code"] == "NOT_FOUND"
    assert renewed(world, bought) == 450


@both_databases
def test_what_is_offered_at_cancelling_is_accepted_once(world, ann):
    bought = subscribe(world, customer(world, "ann"), "pro_monthly")
    its = {"subscriptionId": bought["id"]}
    assert codes(world.data(ACCEPT, {"input": its}, ann)["acceptRetentionOffer"]) == [
        ("OFFER_UNAVAILABLE", "subscriptionId")
    ]
    stay = coupon(world, percent_off=40, duration="repeating", duration_in_months=3)
    refused = world.data(OFFER, {"input": {**its, "externalId": "ann", "couponId": "nothing"}}, BACK_END)[
        "offerRetentionCoupon"
    ]
    assert codes(refused) == [("OFFER_UNAVAILABLE", "couponId")]
    offered = world.data(OFFER, {"input": {**its, "externalId": "ann", "couponId": stay}}, BACK_END)[
        "offerRetentionCoupon"
    ]
    assert offered["subscription"]["retentionOffer"] == {"expiresAt": None, "discount": {"percentOff": 40}}
    left = world.data(CANCEL, {"input": its}, ann)["cancelSubscription"]["subscription"]
    assert left == {"willCancel": True, "retentionOffer": {"discount": {"percentOff": 40}}}
    (error,) = world.graphql(ACCEPT, {"input": its}, world.token("bob")).json()["errors"]
    assert error["extensions"]["code"] == "NOT_FOUND"

    done = world.data(ACCEPT, {"input": its}, ann)["acceptRetentionOffer"]
    assert (codes(done), done["subscription"]["willCancel"], done["subscription"]["retentionOffer"]) == (
        [],
        False,
        None,
    )
    (given,) = done["subscription"]["discounts"]
    assert (given["percentOff"], given["byCode"], datetime.fromisoformat(given["endsAt"]) is not None) == (
        40,
        False,
        True,
    )
    assert world.data(ACCEPT, {"input": its}, ann)["acceptRetentionOffer"] == done
    world.data(CANCEL, {"input": its}, ann)  # once more, for one more
    again = world.data(OFFER, {"input": {**its, "externalId": "ann", "couponId": stay}}, BACK_END)
    assert codes(again["offerRetentionCoupon"]) == [("OFFER_UNAVAILABLE", "couponId")]
    world.data(RESUME, {"input": its}, ann)
    assert renewed(world, bought) == done["subscription"]["dueAtRenewal"]["amount"] == 1740
    (error,) = world.graphql(OFFER, {"input": {**its, "externalId": "ann", "couponId": stay}}, ann).json()["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"


def test_an_invoice_tells_its_taxes_and_what_went_back(world, ann):
    vat = world.stripe("POST", "/v1/tax_rates", display_name="VAT", percentage=19, inclusive="false")["id"]
    bought = subscribe(world, customer(world, "ann"), "pro_monthly", **{"default_tax_rates[0]": vat})
    (invoice,) = world.data(INVOICES, headers=ann)["viewer"]["invoices"]["nodes"]
    assert invoice["taxLines"] == [
        {
            "amount": {"amount": 551},
            "taxableAmount": {"amount": 2900},
            "inclusive": False,
            "name": "VAT",
            "percentage": 19,
        }
    ]
    (charge,) = world.stripe("GET", "/v1/charges", customer=bought["customer"])["data"]
    world.stripe("POST", "/v1/refunds", charge=charge["id"], amount=1000)

    def refunded() -> int:
        (row,) = world.data(INVOICES, headers=ann)["viewer"]["invoices"]["nodes"]
        return row["refunded"]["amount"]

    world.eventually(refunded, 1000)


def test_a_session_tells_its_discounts(world, ann):
    code(world, "QUARTER", percent_off=25, duration="forever", name="A quarter")
    session = opened(world, ann, "starter_monthly", promotionCode="QUARTER")
    query = "query($id: ID!) { session(id: $id) { amountDiscount { amount } discounts { name percentOff } } }"
    pay(world, session)
    world.eventually(
        lambda: world.data(query, {"id": session["id"]}, ann)["session"],
        {"amountDiscount": {"amount": 225}, "discounts": [{"name": "A quarter", "percentOff": 25}]},
    )
