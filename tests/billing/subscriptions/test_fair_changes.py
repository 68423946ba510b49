"""Changes that charge what was quoted and leave no debt behind, whatever the buyer tries, at once or one by one."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from harness.checkout import BACK, CARD, opened
from harness.databases import both_databases, postgres_later
from harness.gateway import make_world
from harness.subscriptions import customer, price_id, settled, subscribe

DAY = 86_400
PREVIEW = """query($subscriptionId: ID!, $priceId: ID!, $quantity: Int) { viewer {
    previewChange(subscriptionId: $subscriptionId, priceId: $priceId, quantity: $quantity) {
      dueNow { amount } credit { amount } prorationDate } } }"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { quantity items { id quantity plan { id } } } invoice { status amountDue { amount } }
    userErrors { code field message } } }"""
CANCEL = """mutation($input: CancelSubscriptionInput!) { cancelSubscription(input: $input) {
    subscription { status willCancel cancelAt } userErrors { code message } } }"""
RESUME = """mutation($input: ResumeSubscriptionInput!) { resumeSubscription(input: $input) {
    subscription { status willCancel } userErrors { code message } } }"""
BILLING_MODES = pytest.mark.parametrize("mode", ["classic", "flexible"])


@pytest.fixture
def ann(world) -> dict[str, str]:
    return world.token("ann")


def preview(world, me, subscription: dict, lookup_key: str, quantity: int | None = None) -> dict:
    variables = {"subscriptionId": subscription["id"], "priceId": price_id(world, lookup_key), "quantity": quantity}
    return world.data(PREVIEW, variables, me)["viewer"]["previewChange"]


def change(world, me, subscription: dict, lookup_key: str, **more) -> dict:
    given = {"subscriptionId": subscription["id"], "priceId": price_id(world, lookup_key), **more}
    return world.data(CHANGE, {"input": given}, me)["changeSubscription"]


def cancel(world, me, subscription: dict, **more) -> dict:
    return world.data(CANCEL, {"input": {"subscriptionId": subscription["id"], **more}}, me)["cancelSubscription"]


def resume(world, me, subscription: dict) -> dict:
    return world.data(RESUME, {"input": {"subscriptionId": subscription["id"]}}, me)["resumeSubscription"]


def codes(payload: dict) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def at_stripe(world, subscription: dict) -> dict:
    return world.stripe("GET", f"/v1/subscriptions/{subscription['id']}")


def items_of(theirs: dict) -> list[tuple[str, int | None]]:
    return [(item["price"]["lookup_key"], item.get("quantity")) for item in theirs["items"]["data"]]


def balance(world, subscription: dict) -> int:
    return world.stripe("GET", f"/v1/customers/{subscription['customer']}")["balance"]


def let_the_renewal_fail(world, subscription: dict) -> None:
    bad = world.stripe(
        "POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=subscription["customer"]
    )
    world.stripe("POST", f"/v1/subscriptions/{subscription['id']}", default_payment_method=bad["id"])


@BILLING_MODES
@pytest.mark.parametrize("hours", [0.5, 30])  # in the draft hour, and when the charge has failed
def test_nobody_changes_out_of_a_debt(world, ann, mode, hours):
    bought = subscribe(world, customer(world, "ann"), "business_monthly", **{"billing_mode[type]": mode})
    let_the_renewal_fail(world, bought)
    world.advance(to=bought["items"]["data"][0]["current_period_end"] + int(hours * 3600))
    before = settled(world, bought["id"])
    assert before["status"] == ("active" if hours < 1 else "past_due")

    refused = change(world, ann, bought, "starter_monthly")

    assert (codes(refused), refused["userErrors"][0]["field"]) == (["INVOICE_UNPAID"], "subscriptionId")
    theirs = at_stripe(world, bought)
    assert (items_of(theirs), theirs["status"]) == ([("business_monthly", 1)], before["status"])
    assert balance(world, bought) == 0
    variables = {"subscriptionId": bought["id"], "priceId": price_id(world, "starter_monthly")}
    assert world.graphql(PREVIEW, variables, ann).json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_a_first_payment_that_was_declined_is_not_changed_into_something_dearer(world, ann):
    who = customer(world, "ann", card="pm_card_chargeCustomerFail")
    (method,) = world.stripe("GET", "/v1/payment_methods", customer=who)["data"]
    given = {"items[0][price]": price_id(world, "starter_monthly"), "default_payment_method": method["id"]}
    made = world.stripe("POST", "/v1/subscriptions", customer=who, **given)
    assert settled(world, made["id"])["status"] == "incomplete"
    assert codes(change(world, ann, made, "business_monthly")) == ["INVOICE_UNPAID"]
    assert items_of(at_stripe(world, made)) == [("starter_monthly", 1)]


def test_an_end_at_once_bills_the_metered_usage(world, ann):
    who = customer(world, "ann")
    bought = subscribe(world, who, "api_calls_metered")
    payload = {"payload[stripe_customer_id]": who, "payload[value]": 5000}
    world.stripe("POST", "/v1/billing/meter_events", event_name="api_calls", timestamp=int(time.time()), **payload)
    world.advance(to=world.sandbox.now() + 2 * DAY)
    before = len(world.stripe("GET", "/v1/invoices", subscription=bought["id"])["data"])

    assert codes(cancel(world, ann, bought, when="NOW")) == []

    invoices = world.stripe("GET", "/v1/invoices", subscription=bought["id"])["data"]
    assert len(invoices) == before + 1
    assert invoices[0]["total"] > 0


@pytest.mark.parametrize("credited", [False, True])
def test_whether_an_end_at_once_credits_the_unused_time_is_a_setting(sqlite_url, credited):
    with make_world(sqlite_url, prorate_cancellations=credited) as world:
        bought = subscribe(world, customer(world, "ann"), "business_yearly")
        assert codes(cancel(world, world.token("ann"), bought, when="NOW")) == []
        assert (balance(world, bought) < 0) is credited


@postgres_later
def test_of_several_items_a_change_takes_the_plan_and_never_the_add_on(world, ann):
    add_on = world.stripe("POST", "/v1/products", name="Seats", **{"metadata[addon]": "true"})["id"]
    seat = {"currency": "usd", "unit_amount": 500, "recurring[interval]": "month", "lookup_key": "seat"}
    seat_price = world.stripe("POST", "/v1/prices", product=add_on, **seat)["id"]
    world.eventually(lambda: world.rows("price", id=seat_price))
    more = {
        "items[0][price]": seat_price,
        "items[0][quantity]": 3,
        "items[1][price]": price_id(world, "starter_monthly"),
    }
    bought = subscribe(world, customer(world, "ann"), **more)
    query = "{ viewer { subscription { plan { id } items { plan { id } } } } }"
    seen = world.data(query, headers=ann)["viewer"]["subscription"]
    ordered = [item["price"]["id"] for item in bought["items"]["data"]]
    assert [item["plan"]["id"] for item in seen["items"]] == ordered  # Stripe's order, though `created` is equal
    assert seen["plan"]["id"] == ordered[0]

    changed = change(world, ann, bought, "pro_monthly")

    assert changed["userErrors"] == []
    assert sorted(items_of(at_stripe(world, bought))) == [("pro_monthly", 1), ("seat", 3)]
    item = next(each for each in changed["subscription"]["items"] if each["plan"]["id"] == seat_price)
    changed = change(world, ann, bought, "seat", quantity=5, subscriptionItemId=item["id"])
    assert sorted(items_of(at_stripe(world, bought))) == [("pro_monthly", 1), ("seat", 5)]


@both_databases
def test_two_quotes_from_one_state_are_charged_once_and_the_other_has_expired(world, ann):
    bought = subscribe(world, customer(world, "ann"))
    keys = ("pro_monthly", "business_monthly")
    quotes = [preview(world, ann, bought, key) for key in keys]

    def take(place: int) -> dict:
        return change(world, ann, bought, keys[place], prorationDate=quotes[place]["prorationDate"])

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(take, range(2)))

    ((winner, payload),) = [(place, each) for place, each in enumerate(done) if not each["userErrors"]]
    assert payload["invoice"]["amountDue"]["amount"] == quotes[winner]["dueNow"]["amount"]
    assert codes(done[1 - winner]) == ["PREVIEW_EXPIRED"]
    assert items_of(at_stripe(world, bought)) == [(keys[winner], 1)]
    fresh = preview(world, ann, bought, keys[1 - winner])
    again = change(world, ann, bought, keys[1 - winner], prorationDate=fresh["prorationDate"])
    assert again["userErrors"] == []


def test_a_quote_is_of_one_state_that_does_not_come_again(world, ann):
    """Up, down, and up again: by the first quote of the way down, a second one would credit what was never paid."""
    bought = subscribe(world, customer(world, "ann"), "starter_monthly")
    up = {"lookup_key": "business_monthly"}
    assert codes(change(world, ann, bought, **up)) == []
    down = {
        "lookup_key": "starter_monthly",
        "prorationDate": preview(world, ann, bought, "starter_monthly")["prorationDate"],
    }
    assert [codes(each) for each in (change(world, ann, bought, **down), change(world, ann, bought, **up))] == [[], []]
    owed = balance(world, bought)
    early = datetime.fromtimestamp(world.sandbox.now() - 600, UTC).isoformat()
    tries = change(world, ann, bought, **down), change(world, ann, bought, **down | {"prorationDate": early})
    assert [codes(each) for each in tries] == [["PREVIEW_EXPIRED"]] * 2
    assert balance(world, bought) == owed


@both_databases
def test_changes_at_once_leave_what_they_would_leave_one_after_the_other(world, ann):
    bought = subscribe(world, customer(world, "ann"))
    with world.twin() as other:
        for _ in range(4):
            change(world, ann, bought, "starter_monthly", quantity=1)
            with ThreadPoolExecutor(2) as pool:
                more = pool.submit(change, world, ann, bought, "starter_monthly", quantity=3)
                dearer = pool.submit(change, other, ann, bought, "pro_monthly")
                assert (codes(more.result()), codes(dearer.result())) == ([], [])
            assert items_of(at_stripe(world, bought)) in ([("pro_monthly", 3)], [("starter_monthly", 3)])


def test_what_was_just_bought_can_be_changed_before_any_webhook_has_come(sqlite_url):
    with make_world(sqlite_url, stripe_webhook_secrets="whsec_that_nobody_signs_with") as world:
        ann = world.token("ann")
        session = opened(world, ann, "starter_monthly", successUrl=BACK)
        form = {"email": "ada@example.com", **CARD, "action": "pay"}
        world.client.post(session["url"], data=form, headers={"Origin": world.stripe_url})
        (bought,) = world.stripe("GET", "/v1/subscriptions")["data"]
        assert world.rows("subscription") == []

        for mutate in (
            lambda: change(world, ann, bought, "pro_monthly"),
            lambda: cancel(world, ann, bought),
            lambda: resume(world, ann, bought),
        ):
            assert codes(mutate()) == []
        missing = {"input": {"subscriptionId": bought["id"]}}
        errors = world.graphql(RESUME, missing, world.token("bob")).json()["errors"]
        assert [error["extensions"]["code"] for error in errors] == ["NOT_FOUND"]


def test_a_paused_collection_is_taken_up_again(world, ann):
    bought = subscribe(world, customer(world, "ann"))
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", **{"pause_collection[behavior]": "void"})
    assert at_stripe(world, bought)["pause_collection"] is not None
    assert codes(resume(world, ann, bought)) == []
    assert at_stripe(world, bought)["pause_collection"] is None


@pytest.mark.parametrize("when", ["NOW", "AT_PERIOD_END"])
def test_what_a_schedule_manages_can_be_cancelled_all_the_same(world, ann, when):
    bought = subscribe(world, customer(world, "ann"))
    made = world.stripe("POST", "/v1/subscription_schedules", from_subscription=bought["id"])
    assert at_stripe(world, bought)["schedule"] == made["id"]

    ended = cancel(world, ann, bought, when=when)

    assert codes(ended) == []
    assert ended["subscription"]["willCancel"] is (when == "AT_PERIOD_END")
    theirs = at_stripe(world, bought)
    assert (theirs["status"], theirs["schedule"]) == ("canceled" if when == "NOW" else "active", None)


@postgres_later
def test_a_change_leads_into_no_group_of_which_there_is_a_plan_already(world, ann):
    """Else a plan of another group, bought beside the first, becomes a second one of the first's group."""
    other = world.stripe("POST", "/v1/products", name="Storage", **{"metadata[group]": "storage"})["id"]
    given = {"currency": "usd", "unit_amount": 100, "recurring[interval]": "month", "lookup_key": "storage"}
    price = world.stripe("POST", "/v1/prices", product=other, **given)["id"]
    world.eventually(lambda: world.rows("price", id=price))
    me = customer(world, "ann")
    first, second = subscribe(world, me), subscribe(world, me, "storage")
    assert codes(change(world, ann, second, "pro_monthly")) == ["ALREADY_SUBSCRIBED"]
    assert at_stripe(world, second)["items"]["data"][0]["price"]["id"] == price
    assert codes(change(world, ann, first, "pro_monthly")) == []


def test_what_a_schedule_plans_is_shown_and_gone_when_it_is_released(world, ann):
    bought = subscribe(world, customer(world, "ann"))
    query = """{ viewer { subscription { pendingChange { at plan { id } quantity items { plan { id } } } } } }"""

    def pending():
        return world.data(query, headers=ann)["viewer"]["subscription"]["pendingChange"]

    assert pending() is None
    made = world.stripe("POST", "/v1/subscription_schedules", from_subscription=bought["id"])
    (present,) = made["phases"]
    now, then = price_id(world, "starter_monthly"), price_id(world, "pro_monthly")
    phases = {
        "phases[0][items][0][price]": now,
        "phases[0][start_date]": present["start_date"],
        "phases[0][end_date]": present["end_date"],
        "phases[1][items][0][price]": then,
        "phases[1][items][0][quantity]": 2,
        "phases[1][duration][interval]": "month",
    }
    world.stripe("POST", f"/v1/subscription_schedules/{made['id']}", **phases)
    planned = world.eventually(pending)
    assert datetime.fromisoformat(planned.pop("at")).timestamp() == present["end_date"]
    assert planned == {"plan": {"id": then}, "quantity": 2, "items": [{"plan": {"id": then}}]}
    world.stripe("POST", f"/v1/subscription_schedules/{made['id']}/release")
    world.eventually(lambda: pending() is None)
