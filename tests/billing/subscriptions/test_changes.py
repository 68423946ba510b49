"""Changes without the portal: a quote that is charged to the cent, an end, an end taken back, and whose it may be."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from gateway.billing.sentences import sentence_of
from gateway.billing.user_errors import ProblemCode
from harness.databases import both_databases, postgres_later
from harness.gateway import SERVICE_TOKEN
from harness.subscriptions import customer, price_id, settled, subscribe

DAY = 86_400
SUBSCRIPTION = """
fragment Sub on BillingSubscription {
  id status quantity willCancel cancelAt endedAt currentPeriodEnd plan { id } access { allowed reason until }
}
"""
PREVIEW = """
query Preview($subscriptionId: ID!, $priceId: ID!, $quantity: Int) {
  viewer {
    previewChange(subscriptionId: $subscriptionId, priceId: $priceId, quantity: $quantity) {
      dueNow { amount currency } credit { amount } dueAtRenewal { amount } renewsAt prorationDate
      lines { proration amount { amount } price { id } }
    }
  }
}
"""
QUOTE = """query($subscriptionId: ID!, $to: SubscriptionChangeInput!) { viewer {
    quoteChange(subscriptionId: $subscriptionId, to: $to) {
      preview { prorationDate } userErrors { code field text(locale: "de") } } } }"""
CHANGE = (
    SUBSCRIPTION
    + """
mutation Change($input: ChangeSubscriptionInput!) {
  changeSubscription(input: $input) {
    subscription { ...Sub }
    invoice { id status total { amount } amountDue { amount } }
    userErrors { code field message }
  }
}
"""
)
CANCEL = (
    SUBSCRIPTION
    + """
mutation Cancel($input: CancelSubscriptionInput!) {
  cancelSubscription(input: $input) { subscription { ...Sub } userErrors { code field } }
}
"""
)
RESUME = (
    SUBSCRIPTION
    + """
mutation Resume($input: ResumeSubscriptionInput!) {
  resumeSubscription(input: $input) { subscription { ...Sub } userErrors { code field } }
}
"""
)


@pytest.fixture
def ann(world) -> dict:
    """Ann's sign-in."""
    return world.token("ann")


@pytest.fixture
def starter(world) -> dict:
    """Ann's subscription to Starter for $9 a month, ten days old."""
    bought = subscribe(world, customer(world, "ann"))
    pass_time(world, 10 * DAY)
    return bought


def pass_time(world, seconds: int) -> None:
    world.advance(to=world.sandbox.now() + seconds)


def preview(world, me, subscription: dict, lookup_key: str, quantity: int | None = None) -> dict:
    variables = {"subscriptionId": subscription["id"], "priceId": price_id(world, lookup_key), "quantity": quantity}
    return world.data(PREVIEW, variables, me)["viewer"]["previewChange"]


def change(world, me, subscription: dict, lookup_key: str, **more) -> dict:
    given = {"subscriptionId": subscription["id"], "priceId": price_id(world, lookup_key), **more}
    return world.data(CHANGE, {"input": given}, me)["changeSubscription"]


def cancel(world, me, subscription: dict, **more) -> dict:
    given = {"subscriptionId": subscription["id"], **more}
    return world.data(CANCEL, {"input": given}, me)["cancelSubscription"]


def resume(world, me, subscription: dict, **more) -> dict:
    given = {"subscriptionId": subscription["id"], **more}
    return world.data(RESUME, {"input": given}, me)["resumeSubscription"]


def codes(payload: dict) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@postgres_later
@pytest.mark.parametrize("to", ["pro_monthly", "starter_yearly"])
def test_a_quote_is_charged_to_the_cent_also_minutes_later(world, starter, ann, to):
    quote = preview(world, ann, starter, to)
    assert quote["dueNow"]["amount"] == sum(line["amount"]["amount"] for line in quote["lines"]) > 0
    pass_time(world, 14 * 60)
    done = change(world, ann, starter, to, prorationDate=quote["prorationDate"])

    assert done["userErrors"] == []
    assert done["subscription"]["plan"]["id"] == price_id(world, to)
    assert done["invoice"]["status"] == "PAID"
    assert done["invoice"]["amountDue"]["amount"] == quote["dueNow"]["amount"]
    theirs = settled(world, starter["id"])
    assert theirs["latest_invoice"]["id"] == done["invoice"]["id"]
    assert theirs["latest_invoice"]["amount_paid"] == quote["dueNow"]["amount"]
    assert theirs["items"]["data"][0]["price"]["id"] == price_id(world, to)


def test_a_quote_says_what_each_renewal_costs_and_when_it_is(world, starter, ann):
    begin, end = (starter["items"]["data"][0][f"current_period_{bound}"] for bound in ("start", "end"))
    monthly = preview(world, ann, starter, "pro_monthly")
    assert (monthly["dueAtRenewal"]["amount"], moment(monthly["renewsAt"])) == (2900, end)
    yearly = preview(world, ann, starter, "starter_yearly")
    assert yearly["dueAtRenewal"]["amount"] == 9000
    # In flexible billing mode the year counts from the old anchor.
    assert 364 * DAY < moment(yearly["renewsAt"]) - begin < 367 * DAY


def test_a_preview_changes_nothing_at_stripe(world, starter, ann):
    before = world.stripe("GET", f"/v1/subscriptions/{starter['id']}")
    preview(world, ann, starter, "business_monthly")
    assert world.stripe("GET", f"/v1/subscriptions/{starter['id']}") == before


def test_a_downgrade_leaves_a_credit_and_charges_nothing(world, ann):
    bought = subscribe(world, customer(world, "ann"), "business_monthly")
    pass_time(world, 10 * DAY)
    quote = preview(world, ann, bought, "starter_monthly")
    assert quote["dueNow"]["amount"] == 0
    assert quote["credit"]["amount"] == -sum(line["amount"]["amount"] for line in quote["lines"]) > 0
    done = change(world, ann, bought, "starter_monthly", prorationDate=quote["prorationDate"])
    assert done["invoice"]["total"]["amount"] == -quote["credit"]["amount"]
    assert world.stripe("GET", f"/v1/customers/{bought['customer']}")["balance"] == -quote["credit"]["amount"]


def test_seats_are_added_for_the_rest_of_the_period(world, ann):
    bought = subscribe(world, customer(world, "ann"), "team_monthly", **{"items[0][quantity]": 3})
    quote = preview(world, ann, bought, "team_monthly", quantity=8)
    done = change(world, ann, bought, "team_monthly", quantity=8, prorationDate=quote["prorationDate"])
    assert (done["subscription"]["quantity"], done["userErrors"]) == (8, [])
    assert done["invoice"]["amountDue"]["amount"] == quote["dueNow"]["amount"] > 0
    other_plan = preview(world, ann, bought, "business_monthly")  # keeps the eight
    assert other_plan["dueAtRenewal"]["amount"] == 8 * 19900


def test_within_a_trial_nothing_is_due_now(world, ann):
    bought = subscribe(world, customer(world, "ann"), "pro_monthly", trial_period_days=14)
    quote = preview(world, ann, bought, "pro_yearly")
    assert (quote["dueNow"]["amount"], quote["lines"]) == (0, [])
    assert (quote["dueAtRenewal"]["amount"], moment(quote["renewsAt"])) == (29000, bought["trial_end"])
    done = change(world, ann, bought, "pro_yearly", prorationDate=quote["prorationDate"])
    assert (done["invoice"], done["subscription"]["status"]) == (None, "TRIALING")


def test_a_quote_that_is_too_old_or_from_the_future_is_not_charged(world, starter, ann):
    quote = preview(world, ann, starter, "pro_monthly")
    pass_time(world, 16 * 60)
    assert codes(change(world, ann, starter, "pro_monthly", prorationDate=quote["prorationDate"])) == [
        "PREVIEW_EXPIRED"
    ]
    later = datetime.fromtimestamp(world.sandbox.now() + 20 * DAY, UTC).isoformat()
    assert codes(change(world, ann, starter, "pro_monthly", prorationDate=later)) == ["PREVIEW_EXPIRED"]
    assert settled(world, starter["id"])["items"]["data"][0]["price"]["id"] == price_id(world, "starter_monthly")


def test_the_same_key_changes_once_and_another_request_under_it_is_refused(world, starter, ann):
    first = change(world, ann, starter, "pro_monthly", idempotencyKey="key-1")
    again = change(world, ann, starter, "pro_monthly", idempotencyKey="key-1")
    assert again == first
    assert len(world.stripe("GET", "/v1/invoices", subscription=starter["id"])["data"]) == 2
    other = change(world, ann, starter, "business_monthly", idempotencyKey="key-1")
    assert (codes(other), other["userErrors"][0]["field"]) == (["IDEMPOTENCY_KEY_REUSED"], "idempotencyKey")
    assert codes(change(world, ann, starter, "business_monthly", idempotencyKey="k" * 256)) == [
        "IDEMPOTENCY_KEY_INVALID"
    ]


def test_a_charged_change_answers_its_invoice_though_the_mirror_holds_it_as_a_draft(world, starter, ann):
    first = change(world, ann, starter, "pro_monthly", idempotencyKey="key-1")
    draft = world.stripe("GET", f"/v1/invoices/{first['invoice']['id']}") | {"status": "draft", "number": None}
    late = world.event("invoice.created", draft, created=world.sandbox.now() + 100)
    world.deliver(late)
    assert world.rows("invoice", id=draft["id"])[0]["status"] == "draft"
    again = change(world, ann, starter, "pro_monthly", idempotencyKey="key-1")
    assert again == first
    assert again["invoice"]["status"] == "PAID"


def test_a_change_whose_payment_is_declined_changes_nothing(world, starter, ann):
    bad = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=starter["customer"])
    world.stripe("POST", f"/v1/subscriptions/{starter['id']}", default_payment_method=bad["id"])
    refused = change(world, ann, starter, "pro_monthly")
    assert (codes(refused), refused["subscription"], refused["invoice"]) == (["PAYMENT_FAILED"], None, None)
    theirs = settled(world, starter["id"])
    assert (theirs["items"]["data"][0]["price"]["id"], theirs["status"]) == (
        price_id(world, "starter_monthly"),
        "active",
    )


@pytest.mark.parametrize(
    ("lookup_key", "more", "code", "field"),
    [
        ("credits_100", {}, "PRICE_NOT_RECURRING", "priceId"),
        ("solo_monthly", {}, "PRICE_NOT_ON_SALE", "priceId"),
        ("pro_monthly", {"quantity": 0}, "QUANTITY_INVALID", "quantity"),
        ("pro_monthly", {"quantity": 1001}, "QUANTITY_INVALID", "quantity"),
        ("api_calls_metered", {"quantity": 2}, "QUANTITY_INVALID", "quantity"),
    ],
)
def test_what_cannot_be_changed_to_is_said_before_stripe_is_asked(world, starter, ann, lookup_key, more, code, field):
    refused = change(world, ann, starter, lookup_key, **more)
    assert [(error["code"], error["field"]) for error in refused["userErrors"]] == [(code, field)]
    to = {"plan": {"priceId": price_id(world, lookup_key), **more}}
    variables = {"subscriptionId": starter["id"], "to": to}
    quote = world.data(QUOTE, variables, ann)["viewer"]["quoteChange"]
    sentence = sentence_of(ProblemCode[code], "de")
    assert quote == {"preview": None, "userErrors": [{"code": code, "field": f"to.plan.{field}", "text": sentence}]}


def test_a_price_that_nobody_knows_and_a_currency_that_it_is_not_offered_in_are_refused(world, ann):
    bought = subscribe(world, customer(world, "ann"), currency="eur")
    given = {"subscriptionId": bought["id"], "priceId": "price_nobody"}
    assert codes(world.data(CHANGE, {"input": given}, ann)["changeSubscription"]) == ["PRICE_NOT_FOUND"]
    product = world.stripe("POST", "/v1/products", name="Only dollars")["id"]
    made = {"product": product, "currency": "usd", "unit_amount": 500, "recurring[interval]": "month"}
    world.stripe("POST", "/v1/prices", lookup_key="dollars", **made)
    world.eventually(lambda: codes(change(world, ann, bought, "dollars")), ["CURRENCY_NOT_OFFERED"])


@both_databases
def test_a_subscription_ends_with_its_period_for_a_reason_and_the_end_can_be_taken_back(world, starter, ann):
    end = starter["items"]["data"][0]["current_period_end"]
    ended = cancel(world, ann, starter, reason="TOO_EXPENSIVE", comment="Back next year", idempotencyKey="bye")
    assert ended["userErrors"] == []
    assert (ended["subscription"]["status"], ended["subscription"]["willCancel"]) == ("ACTIVE", True)
    assert moment(ended["subscription"]["cancelAt"]) == moment(ended["subscription"]["access"]["until"]) == end
    details = world.stripe("GET", f"/v1/subscriptions/{starter['id']}")["cancellation_details"]
    assert (details["feedback"], details["comment"]) == ("too_expensive", "Back next year")
    assert preview(world, ann, starter, "starter_monthly")["dueAtRenewal"] is None  # there is no renewal

    resumed = resume(world, ann, starter)
    assert (resumed["subscription"]["willCancel"], resumed["subscription"]["cancelAt"]) == (False, None)
    assert world.stripe("GET", f"/v1/subscriptions/{starter['id']}")["cancel_at"] is None
    assert resume(world, ann, starter)["subscription"] == resumed["subscription"]  # once more changes nothing


def test_an_end_that_was_planned_for_a_day_is_taken_back_too(world, starter, ann):
    world.stripe("POST", f"/v1/subscriptions/{starter['id']}", cancel_at=world.sandbox.now() + 5 * DAY)
    assert resume(world, ann, starter)["subscription"]["willCancel"] is False
    assert world.stripe("GET", f"/v1/subscriptions/{starter['id']}")["cancel_at"] is None


def test_after_an_end_at_once_what_was_paid_for_is_still_given_and_nothing_can_be_changed(world, starter, ann):
    gone = cancel(world, ann, starter, when="NOW")
    end = starter["items"]["data"][0]["current_period_end"]
    assert gone["subscription"]["status"] == "CANCELED"
    assert gone["subscription"]["access"]["reason"] == "CANCELED"
    assert (gone["subscription"]["access"]["allowed"], moment(gone["subscription"]["access"]["until"])) == (True, end)
    assert cancel(world, ann, starter, when="NOW")["subscription"] == gone["subscription"]
    assert codes(resume(world, ann, starter)) == ["SUBSCRIPTION_ENDED"]
    assert codes(change(world, ann, starter, "pro_monthly")) == ["SUBSCRIPTION_ENDED"]


def test_when_the_period_is_over_the_access_of_a_canceled_subscription_is_too(world, starter, ann):
    cancel(world, ann, starter)
    world.advance(to=starter["items"]["data"][0]["current_period_end"] + 60)
    settled(world, starter["id"])
    query = "{ viewer { subscription { id } subscriptions { status access { allowed reason } } } }"
    over = [{"status": "CANCELED", "access": {"allowed": False, "reason": "CANCELED"}}]
    assert world.data(query, headers=ann)["viewer"] == {"subscription": None, "subscriptions": over}


def test_a_subscription_that_was_paused_goes_on(world, starter, ann):
    world.stripe("POST", f"/v1/subscriptions/{starter['id']}/pause")
    assert settled(world, starter["id"])["status"] == "paused"
    assert resume(world, ann, starter)["subscription"]["status"] == "ACTIVE"


def test_a_comment_that_is_too_long_is_refused(world, starter, ann):
    assert codes(cancel(world, ann, starter, comment="x" * 501)) == ["COMMENT_TOO_LONG"]


def test_the_payload_holds_what_stripe_said_before_any_webhook_has_come(world, starter, ann):
    world.sandbox.chaos.configure({"drop": 1.0})
    try:
        done = change(world, ann, starter, "pro_monthly")
        assert done["subscription"]["plan"]["id"] == price_id(world, "pro_monthly")
        viewer = world.data("{ viewer { subscription { plan { id } } } }", headers=ann)["viewer"]
        assert viewer["subscription"]["plan"]["id"] == price_id(world, "pro_monthly")
    finally:
        world.sandbox.chaos.configure({})


def test_a_change_made_elsewhere_that_the_gateway_has_not_heard_of_is_seen_first(world, starter, ann):
    world.sandbox.chaos.configure({"drop": 1.0})
    try:
        world.stripe("DELETE", f"/v1/subscriptions/{starter['id']}")
        assert codes(change(world, ann, starter, "pro_monthly")) == ["SUBSCRIPTION_ENDED"]
    finally:
        world.sandbox.chaos.configure({})


MUTATIONS = {
    "changeSubscription": (CHANGE, {"priceId": "price_any"}),
    "cancelSubscription": (CANCEL, {"when": "NOW"}),
    "resumeSubscription": (RESUME, {}),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_nobody_changes_what_is_anothers_and_nobody_learns_whether_it_exists(world, starter, name):
    query, given = MUTATIONS[name]
    service = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    customer(world, "bob")
    bob = world.token("bob")

    def answer(subscription_id: str, headers) -> list[dict]:
        variables = {"input": {"subscriptionId": subscription_id, **given}}
        return [
            {"message": error["message"], "code": error["extensions"]["code"]}
            for error in world.graphql(query, variables, headers).json()["errors"]
        ]

    foreign, missing = answer(starter["id"], bob), answer("sub_nobody", bob)
    assert foreign == missing
    assert [error["code"] for error in foreign] == ["NOT_FOUND"]
    assert [error["code"] for error in answer(starter["id"], None)] == ["UNAUTHENTICATED"]
    assert [error["code"] for error in answer(starter["id"], service)] == ["BAD_USER_INPUT"]  # for whom?
    assert settled(world, starter["id"])["status"] == "active"


def test_nobody_previews_what_is_anothers(world, starter):
    def answer(subscription_id: str) -> list[dict]:
        variables = {"priceId": price_id(world, "pro_monthly"), "subscriptionId": subscription_id}
        return world.graphql(PREVIEW, variables, world.token("bob")).json()["errors"]

    assert answer(starter["id"]) == answer("sub_nobody")
    assert answer("sub_nobody")[0]["extensions"]["code"] == "NOT_FOUND"


def test_two_changes_at_the_same_moment_leave_the_mirror_as_stripe_has_it(world, starter, ann):

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda key: change(world, ann, starter, key), ("pro_monthly", "business_monthly")))
    theirs = settled(world, starter["id"])["items"]["data"][0]["price"]["id"]
    query = "{ viewer { subscription { plan { id } } } }"
    world.eventually(lambda: world.data(query, headers=ann)["viewer"]["subscription"]["plan"]["id"], theirs)
