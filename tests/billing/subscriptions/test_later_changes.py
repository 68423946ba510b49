"""Changes that wait for the end of the period: planned, shown, replaced, undone, and billed as it was said."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from harness.checkout import ask
from harness.databases import postgres_later
from harness.gateway import make_world
from harness.subscriptions import customer, price_id, settled, subscribe

DAY = 86_400
PENDING = "pendingChange { at plan { id } quantity items { quantity plan { id } } dueAtRenewal { amount } }"
CHANGE = f"""mutation($input: ChangeSubscriptionInput!) {{ changeSubscription(input: $input) {{
    subscription {{ plan {{ id }} quantity {PENDING} }} invoice {{ id }} userErrors {{ code field }} }} }}"""
UNDO = f"""mutation($input: CancelPendingChangeInput!) {{ cancelPendingChange(input: $input) {{
    subscription {{ plan {{ id }} {PENDING} }} userErrors {{ code }} }} }}"""
PREVIEW = """query($subscriptionId: ID!, $priceId: ID!, $when: ChangeTime) { viewer {
    previewChange(subscriptionId: $subscriptionId, priceId: $priceId, when: $when) {
      when at dueNow { amount } dueAtRenewal { amount } renewsAt prorationDate lines { amount { amount } } } } }"""
CANCEL = """mutation($input: CancelSubscriptionInput!) { cancelSubscription(input: $input) {
    subscription { willCancel pendingChange { at } } userErrors { code } } }"""


PAUSE = "mutation($input: PauseSubscriptionInput!) { pauseSubscription(input: $input) { userErrors { code } } }"
RESUME = "mutation($input: ResumeSubscriptionInput!) { resumeSubscription(input: $input) { userErrors { code } } }"


@pytest.fixture
def ann(world) -> dict[str, str]:
    return world.token("ann")


def change(world, me, subscription: dict, lookup_key: str, when: str | None = "AT_PERIOD_END", **more) -> dict:
    given = {"subscriptionId": subscription["id"], "priceId": price_id(world, lookup_key), "when": when, **more}
    return world.data(CHANGE, {"input": given}, me)["changeSubscription"]


def undo(world, me, subscription: dict) -> dict:
    return world.data(UNDO, {"input": {"subscriptionId": subscription["id"]}}, me)["cancelPendingChange"]


def preview(world, me, subscription: dict, lookup_key: str, when: str = "AT_PERIOD_END") -> dict:
    given = {"subscriptionId": subscription["id"], "priceId": price_id(world, lookup_key), "when": when}
    return world.data(PREVIEW, given, me)["viewer"]["previewChange"]


def resume(world, me, subscription: dict) -> dict:
    return world.data(RESUME, {"input": {"subscriptionId": subscription["id"]}}, me)["resumeSubscription"]


def pause(world, me, subscription: dict, **more) -> dict:
    return world.data(PAUSE, {"input": {"subscriptionId": subscription["id"], **more}}, me)["pauseSubscription"]


def codes(payload: dict) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def pending(world, me) -> dict | None:
    query = f"{{ viewer {{ subscription {{ {PENDING} }} }} }}"
    return world.data(query, headers=me)["viewer"]["subscription"]["pendingChange"]


def at_stripe(world, subscription: dict) -> dict:
    return world.stripe("GET", f"/v1/subscriptions/{subscription['id']}")


def have(world, subscription: dict) -> list[tuple[str, int | None]]:
    items = at_stripe(world, subscription)["items"]["data"]
    return [(item["price"]["lookup_key"], item.get("quantity")) for item in items]


def bills(world, subscription: dict) -> list[int]:
    """The totals of its invoices, the newest first."""
    found = world.stripe("GET", "/v1/invoices", subscription=subscription["id"])["data"]
    return [each["total"] for each in found]


def end_of(subscription: dict) -> int:
    return min(item["current_period_end"] for item in subscription["items"]["data"])


def renewed(world, subscription: dict) -> None:
    """Let the period end and the renewal be charged, an hour later."""
    world.advance(to=end_of(subscription) + 2 * 3600)
    settled(world, subscription["id"])


@postgres_later
@pytest.mark.parametrize(
    ("mode", "have_now", "to", "amount"),
    [("classic", "pro_monthly", "starter_monthly", 900), ("flexible", "starter_monthly", "pro_yearly", 29000)],
)
def test_a_change_waits_and_the_renewal_costs_what_was_said(world, ann, mode, have_now, to, amount):
    bought = subscribe(world, customer(world, "ann"), have_now, **{"billing_mode[type]": mode})
    world.advance(to=world.sandbox.now() + 10 * DAY)
    before, paid = at_stripe(world, bought), bills(world, bought)

    quote = preview(world, ann, bought, to)
    assert (quote["when"], quote["dueNow"]["amount"], quote["lines"]) == ("AT_PERIOD_END", 0, [])
    assert datetime.fromisoformat(quote["at"]).timestamp() == end_of(bought)
    assert quote["renewsAt"] == quote["at"]
    done = change(world, ann, bought, to, prorationDate=quote["prorationDate"])

    assert (codes(done), done["invoice"], done["subscription"]["plan"]["id"]) == ([], None, price_id(world, have_now))
    waiting = done["subscription"]["pendingChange"]
    assert (waiting["plan"]["id"], waiting["quantity"], waiting["at"]) == (price_id(world, to), 1, quote["at"])
    assert waiting["dueAtRenewal"] == quote["dueAtRenewal"] == {"amount": amount}
    assert pending(world, ann) == waiting
    assert (at_stripe(world, bought)["items"], bills(world, bought)) == (before["items"], paid)

    renewed(world, bought)
    assert have(world, bought) == [(to, 1)]
    assert bills(world, bought) == [amount, *paid]
    assert pending(world, ann) is None


def test_the_renewal_is_said_with_discounts_taxes_and_what_waits_to_be_billed(world, ann):
    who = customer(world, "ann")
    coupon = world.stripe("POST", "/v1/coupons", percent_off=30, duration="repeating", duration_in_months=3)["id"]
    tax = world.stripe("POST", "/v1/tax_rates", display_name="VAT", percentage=19, inclusive="false")["id"]
    more = {"discounts[0][coupon]": coupon, "default_tax_rates[0]": tax, "items[0][quantity]": 3}
    bought = subscribe(world, who, "team_monthly", **more)
    world.stripe("POST", "/v1/invoiceitems", customer=who, subscription=bought["id"], amount=333, currency="usd")
    said = change(world, ann, bought, "team_monthly", quantity=2)["subscription"]["pendingChange"]
    assert (said["plan"]["id"], said["quantity"]) == (price_id(world, "team_monthly"), 2)
    renewed(world, bought)
    assert bills(world, bought)[0] == said["dueAtRenewal"]["amount"]
    theirs = at_stripe(world, bought)
    assert ([rate["id"] for rate in theirs["default_tax_rates"]], len(theirs["discounts"])) == ([tax], 1)


def test_a_waiting_change_is_undone_and_nothing_is_left_of_it(world, ann):
    bought = subscribe(world, customer(world, "ann"), "pro_monthly")
    assert codes(undo(world, ann, bought)) == []  # nothing waits
    assert codes(change(world, ann, bought, "pro_yearly")) == []
    for day, said in ((1, ["CHANGE_PENDING"]), (0, [])):  # the year would begin unbilled, or is billed
        until = datetime.fromtimestamp(end_of(bought) + day * DAY, UTC).isoformat()
        assert codes(pause(world, ann, bought, until=until)) == said
    assert codes(resume(world, ann, bought)) == []
    waiting = change(world, ann, bought, "starter_monthly")["subscription"]["pendingChange"]
    assert codes(pause(world, ann, bought)) == codes(resume(world, ann, bought)) == []
    assert pending(world, ann) == waiting
    undone = undo(world, ann, bought)
    assert (codes(undone), undone["subscription"]["pendingChange"], pending(world, ann)) == ([], None, None)
    assert at_stripe(world, bought)["schedule"] is None
    renewed(world, bought)
    assert (have(world, bought), bills(world, bought)) == ([("pro_monthly", 1)], [2900, 2900])


def test_a_waiting_change_is_replaced_by_another_and_by_what_there_is(world, ann):
    bought = subscribe(world, customer(world, "ann"), "business_monthly")
    change(world, ann, bought, "starter_monthly")
    schedule = at_stripe(world, bought)["schedule"]
    again = change(world, ann, bought, "starter_monthly")["subscription"]["pendingChange"]
    other = change(world, ann, bought, "pro_monthly")["subscription"]["pendingChange"]
    assert (again["plan"]["id"], other["plan"]["id"]) == (
        price_id(world, "starter_monthly"),
        price_id(world, "pro_monthly"),
    )
    assert at_stripe(world, bought)["schedule"] == schedule
    stays = change(world, ann, bought, "business_monthly")
    assert (codes(stays), stays["subscription"]["pendingChange"]) == ([], None)
    assert at_stripe(world, bought)["schedule"] is None


def dashboard_plans(world, bought: dict, **more) -> str:
    """Plan Business for the period's end, and an end after it, at Stripe; the schedule's id."""
    made = world.stripe("POST", "/v1/subscription_schedules", from_subscription=bought["id"])
    (present,) = made["phases"]
    begun = {f"phases[0][{bound}_date]": present[f"{bound}_date"] for bound in ("start", "end")}
    prices = {
        "phases[0][items][0][price]": price_id(world, "pro_monthly"),
        "phases[1][items][0][price]": price_id(world, "business_monthly"),
    }
    more = {"phases[1][duration][interval]": "month", "end_behavior": "cancel", **more}
    world.stripe("POST", f"/v1/subscription_schedules/{made['id']}", **begun, **prices, **more)
    world.eventually(lambda: pending(world, world.token("ann")))
    return made["id"]


def test_what_the_seller_has_planned_is_shown_and_happens(world, ann):
    """A rise in price and an end, neither of which a change, an undo, or leaving and coming back may get rid of."""
    bought = subscribe(world, customer(world, "ann"), "pro_monthly")
    dashboard_plans(world, bought, **{"metadata[customer_may_change]": "false"})
    seen = world.data("{ viewer { subscription { plannedBySeller willCancel cancelAt } } }", headers=ann)
    end = datetime.fromisoformat(seen["viewer"]["subscription"].pop("cancelAt")).timestamp()
    assert seen["viewer"]["subscription"] == {"plannedBySeller": True, "willCancel": True}
    assert end > end_of(bought) + 27 * DAY
    assert pending(world, ann)["dueAtRenewal"] == {"amount": 19900}
    tries = (undo(world, ann, bought), change(world, ann, bought, "starter_monthly"))
    tries += (change(world, ann, bought, "pro_monthly", "NOW", quantity=2), resume(world, ann, bought))
    assert [codes(each) for each in tries] == [["PLANNED_BY_SELLER"]] * 4
    renewed(world, bought)
    assert (have(world, bought), bills(world, bought)[0]) == ([("business_monthly", 1)], 19900)
    left = world.data(CANCEL, {"input": {"subscriptionId": bought["id"]}}, ann)["cancelSubscription"]
    assert (codes(left), left["subscription"]["willCancel"]) == ([], True)
    assert codes(resume(world, ann, bought)) == ["PLANNED_BY_SELLER"]
    world.advance(to=int(end) + 60)
    world.eventually(lambda: [row["status"] for row in world.rows("subscription", id=bought["id"])], ["canceled"])


def raise_in_the_customers_own_schedule(world, ann, bought: dict) -> None:
    """Plan a rise at the moment for which the customer has planned less: his undo does not reach it."""
    assert codes(change(world, ann, bought, "starter_monthly")) == codes(undo(world, ann, bought)) == []
    assert codes(change(world, ann, bought, "starter_monthly")) == []
    path = f"/v1/subscription_schedules/{at_stripe(world, bought)['schedule']}"
    present, then = world.stripe("GET", path)["phases"]
    form = {f"phases[0][{bound}_date]": present[f"{bound}_date"] for bound in ("start", "end")}
    form |= {"phases[0][items][0][price]": price_id(world, "pro_monthly"), "phases[1][end_date]": then["end_date"]}
    world.stripe("POST", path, **form, **{"phases[1][items][0][price]": price_id(world, "business_monthly")})
    assert codes(undo(world, ann, bought)) == ["PLANNED_BY_SELLER"]
    world.stripe("POST", f"{path}/release")
    world.eventually(lambda: pending(world, ann), None)


def test_who_leaves_before_a_planned_rise_is_not_charged_it_and_finds_it_again_on_coming_back(sqlite_url):
    """And the end after it: nothing is got rid of, nor lost, by leaving and coming back, nor by undoing."""
    with make_world(sqlite_url, seller_plans_binding=True) as world:
        ann, bought = world.token("ann"), subscribe(world, customer(world, "ann"), "pro_monthly")
        raise_in_the_customers_own_schedule(world, ann, bought)
        schedule = dashboard_plans(world, bought)
        offered = (
            "{ pricing { products { plans { id viewer { reason } } } } viewer { subscription { plannedBySeller } } }"
        )
        seen, starter = world.data(offered, headers=ann), price_id(world, "starter_monthly")
        (reason,) = [
            each["viewer"]["reason"]
            for product in seen["pricing"]["products"]
            for each in product["plans"]
            if each["id"] == starter
        ]
        assert (seen["viewer"]["subscription"], reason) == ({"plannedBySeller": True}, "PLANNED_BY_SELLER")
        assert codes(undo(world, ann, bought)) == ["PLANNED_BY_SELLER"]
        before, planned = world.stripe("GET", f"/v1/subscription_schedules/{schedule}"), pending(world, ann)
        asked = {"input": {"subscriptionId": bought["id"], "comment": "Too dear, für mich"}}
        names = ("start_date", "end_date", "items", "discounts", "metadata", "trial_end")
        for comes_back in (True, False):
            left = world.data(CANCEL, asked, ann)["cancelSubscription"]
            assert (codes(left), left["subscription"]) == ([], {"willCancel": True, "pendingChange": None})
            assert codes(change(world, ann, bought, "business_monthly", "NOW")) == ["SUBSCRIPTION_ENDING"]
            if comes_back:
                assert codes(resume(world, ann, bought)) == []
                after = world.stripe("GET", f"/v1/subscription_schedules/{schedule}")
                assert (after["phases"][1:], after["end_behavior"]) == (before["phases"][1:], "cancel")
                assert [after["phases"][0][name] for name in names] == [before["phases"][0][name] for name in names]
                assert after["metadata"] == {"comment": "Too dear, für mich"}
                assert pending(world, ann) == planned
        renewed(world, bought)
        assert (at_stripe(world, bought)["status"], bills(world, bought)) == ("canceled", [2900])


def test_what_was_planned_elsewhere_is_replaced_and_undone(world, ann):
    bought, goes_on = subscribe(world, customer(world, "ann"), "pro_monthly"), {"end_behavior": "release"}
    for said in ({}, {"metadata[customer_may_change]": "true"}):
        dashboard_plans(world, bought, **goes_on, **said)
        assert codes(undo(world, ann, bought)) == []
        assert (at_stripe(world, bought)["schedule"], pending(world, ann)) == (None, None)
    schedule = dashboard_plans(world, bought, **goes_on)
    said = change(world, ann, bought, "starter_monthly")["subscription"]["pendingChange"]
    theirs = world.stripe("GET", f"/v1/subscription_schedules/{schedule}")
    assert (theirs["status"], theirs["end_behavior"], len(theirs["phases"])) == ("active", "release", 2)
    renewed(world, bought)
    assert (have(world, bought), bills(world, bought)[0]) == ([("starter_monthly", 1)], said["dueAtRenewal"]["amount"])


def test_a_planned_end_stays_when_the_change_before_it_goes_and_is_taken_back_alone(world, ann):
    """A change for later and one at once take the planned one's place; the end is the resumption's to take back."""
    bought = subscribe(world, customer(world, "ann"), "pro_monthly")
    schedule = dashboard_plans(world, bought)

    def planned() -> tuple[str, list[list[str]]]:
        theirs = world.stripe("GET", f"/v1/subscription_schedules/{schedule}")
        return theirs["end_behavior"], [[item["price"] for item in each["items"]] for each in theirs["phases"]]

    pro, business, starter = (price_id(world, f"{plan}_monthly") for plan in ("pro", "business", "starter"))
    end = world.stripe("GET", f"/v1/subscription_schedules/{schedule}")["phases"][-1]["end_date"]
    assert codes(change(world, ann, bought, "starter_monthly")) == []
    assert planned() == ("cancel", [[pro], [starter]])
    assert codes(resume(world, ann, bought)) == []
    assert (planned(), pending(world, ann)["plan"]["id"]) == (("release", [[pro], [starter]]), starter)
    world.stripe("POST", f"/v1/subscription_schedules/{schedule}", end_behavior="cancel")
    assert codes(change(world, ann, bought, "business_monthly", "NOW")) == []
    assert (planned(), pending(world, ann)) == (("cancel", [[business]]), None)
    assert world.stripe("GET", f"/v1/subscription_schedules/{schedule}")["phases"][-1]["end_date"] == end
    assert codes(undo(world, ann, bought)) == codes(resume(world, ann, bought)) == []
    assert at_stripe(world, bought)["schedule"] is None


def test_nobody_keeps_what_is_sold_no_more_by_undoing_a_rise(world, ann):
    bought = subscribe(world, customer(world, "ann"), "pro_monthly")
    dashboard_plans(world, bought)
    world.stripe("POST", f"/v1/prices/{price_id(world, 'pro_monthly')}", active="false")
    world.eventually(lambda: world.rows("price", lookup_key="pro_monthly")[0]["active"], False)
    tries = (undo(world, ann, bought), change(world, ann, bought, "pro_monthly", "NOW", quantity=2))
    tries += (resume(world, ann, bought), change(world, ann, bought, "starter_monthly"))
    assert {code for each in tries for code in codes(each)} <= {"PLANNED_BY_SELLER", "PRICE_NOT_ON_SALE"}
    assert [len(codes(each)) for each in tries] == [1] * 4
    renewed(world, bought)
    assert bills(world, bought) == [19900, 2900]


def test_a_change_at_once_replaces_what_waits_unless_it_is_declined(world, ann):
    bought = subscribe(world, customer(world, "ann"), "pro_monthly")
    waiting = change(world, ann, bought, "starter_monthly")["subscription"]["pendingChange"]
    bad = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=bought["customer"])
    good = at_stripe(world, bought)["default_payment_method"]
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", default_payment_method=bad["id"])
    assert codes(change(world, ann, bought, "business_monthly", "NOW")) == ["PAYMENT_FAILED"]
    assert (pending(world, ann), have(world, bought)) == (waiting, [("pro_monthly", 1)])
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", default_payment_method=good)
    done = change(world, ann, bought, "business_monthly", "NOW")
    assert (codes(done), done["subscription"]["pendingChange"]) == ([], None)
    renewed(world, bought)
    assert (have(world, bought), bills(world, bought)[0]) == ([("business_monthly", 1)], 19900)


def test_an_end_takes_what_waits_along_and_an_ending_subscription_takes_no_plans(world, ann):
    bought = subscribe(world, customer(world, "ann"), "pro_monthly")
    change(world, ann, bought, "starter_monthly")
    ended = world.data(CANCEL, {"input": {"subscriptionId": bought["id"]}}, ann)["cancelSubscription"]
    assert (codes(ended), ended["subscription"]) == ([], {"willCancel": True, "pendingChange": None})
    refused = change(world, ann, bought, "starter_monthly")
    assert refused["userErrors"] == [{"code": "SUBSCRIPTION_ENDING", "field": "when"}]
    assert at_stripe(world, bought)["schedule"] is None


def test_a_paused_subscription_has_no_period_at_whose_end_it_could_change(world, ann):
    bought = subscribe(world, customer(world, "ann"))
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}/pause")
    assert codes(change(world, ann, bought, "pro_monthly")) == ["SUBSCRIPTION_PAUSED"]


@pytest.mark.parametrize("hours", [0.5, 30])  # in the draft hour, and when the charge has failed
def test_nobody_plans_his_way_out_of_a_debt(world, ann, hours):
    bought = subscribe(world, customer(world, "ann"), "business_monthly")
    bad = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=bought["customer"])
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", default_payment_method=bad["id"])
    world.advance(to=end_of(bought) + int(hours * 3600))
    settled(world, bought["id"])
    assert codes(change(world, ann, bought, "starter_monthly")) == ["INVOICE_UNPAID"]
    assert at_stripe(world, bought)["schedule"] is None


def test_a_change_in_a_trial_waits_for_its_end(world, ann):
    bought = subscribe(world, customer(world, "ann"), "pro_monthly", trial_period_days=14)
    waiting = change(world, ann, bought, "business_monthly")["subscription"]["pendingChange"]
    assert (waiting["dueAtRenewal"], datetime.fromisoformat(waiting["at"]).timestamp()) == (
        {"amount": 19900},
        bought["trial_end"],
    )
    assert at_stripe(world, bought)["trial_end"] == bought["trial_end"]
    renewed(world, bought)
    assert (have(world, bought), bills(world, bought)[0]) == ([("business_monthly", 1)], 19900)


def test_of_several_items_the_others_stay(world, ann):
    more = {"items[1][price]": price_id(world, "api_calls_metered"), "items[2][price]": price_id(world, "team_monthly")}
    bought = subscribe(world, customer(world, "ann"), "pro_monthly", **more, **{"items[2][quantity]": 4})
    item = bought["items"]["data"][0]["id"]
    waiting = change(world, ann, bought, "starter_monthly", subscriptionItemId=item)["subscription"]["pendingChange"]
    assert [(each["plan"]["id"], each["quantity"]) for each in waiting["items"]] == [
        (price_id(world, "starter_monthly"), 1),
        (price_id(world, "api_calls_metered"), None),
        (price_id(world, "team_monthly"), 4),
    ]
    renewed(world, bought)
    assert have(world, bought) == [("starter_monthly", 1), ("api_calls_metered", None), ("team_monthly", 4)]
    assert bills(world, bought)[0] == waiting["dueAtRenewal"]["amount"]


def test_what_is_planned_excludes_as_what_there_is(world, ann):
    """Else a plan of another group changes into the first's group, while a plan of that is bought beside it."""
    other = world.stripe("POST", "/v1/products", name="Storage", **{"metadata[group]": "storage"})["id"]
    given = {"currency": "usd", "unit_amount": 100, "recurring[interval]": "month", "lookup_key": "storage"}
    price = world.stripe("POST", "/v1/prices", product=other, **given)["id"]
    world.eventually(lambda: world.rows("price", id=price))
    me = customer(world, "ann")
    storage = subscribe(world, me, "storage")
    assert codes(change(world, ann, storage, "pro_monthly")) == []
    assert codes(ask(world, ann, {"lookupKey": "starter_monthly"})) == ["ALREADY_SUBSCRIBED"]
    undo(world, ann, storage)
    subscribe(world, me)
    assert codes(change(world, ann, storage, "pro_monthly")) == ["ALREADY_SUBSCRIBED"]
    assert at_stripe(world, storage)["schedule"] is None


def test_by_the_setting_up_is_at_once_and_down_is_later(sqlite_url):
    with make_world(sqlite_url, change_time="automatic") as world:
        ann, bought = world.token("ann"), subscribe(world, customer(world, "ann"), "pro_monthly")
        for to, when in (("business_monthly", "NOW"), ("starter_monthly", "AT_PERIOD_END")):
            assert preview(world, ann, bought, to, "AUTOMATIC")["when"] == when
            done = change(world, ann, bought, to, None)
            assert (codes(done), done["subscription"]["pendingChange"] is None) == ([], when == "NOW")


def test_a_change_that_stripe_refuses_leaves_no_schedule_and_one_that_waited_stays(world, ann):
    bought = subscribe(world, customer(world, "ann"), "business_monthly")
    first = change(world, ann, bought, "starter_monthly", idempotencyKey="key")["subscription"]["pendingChange"]
    assert codes(change(world, ann, bought, "pro_monthly", idempotencyKey="key")) == ["IDEMPOTENCY_KEY_REUSED"]
    assert pending(world, ann) == first
    undo(world, ann, bought)
    assert codes(change(world, ann, bought, "pro_monthly", idempotencyKey="key")) == ["IDEMPOTENCY_KEY_REUSED"]
    assert (at_stripe(world, bought)["schedule"], pending(world, ann)) == (None, None)


def test_in_two_tabs_one_change_waits_at_the_end(world, ann):
    bought = subscribe(world, customer(world, "ann"), "business_monthly")
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(change, world, ann, bought, key) for key in ("starter_monthly", "pro_monthly")]
    assert [codes(job.result()) for job in jobs] == [[], []]
    waiting = pending(world, ann)
    renewed(world, bought)
    assert [price_id(world, key) for key, _ in have(world, bought)] == [waiting["plan"]["id"]]
    assert bills(world, bought)[0] == waiting["dueAtRenewal"]["amount"]


def test_what_was_released_behind_the_gateways_back_no_longer_waits(world, ann):
    bought = subscribe(world, customer(world, "ann"), "pro_monthly")
    change(world, ann, bought, "starter_monthly")
    world.sandbox.chaos.configure({"drop": 1.0})
    try:
        world.stripe("POST", f"/v1/subscription_schedules/{at_stripe(world, bought)['schedule']}/release")
        assert undo(world, ann, bought)["subscription"]["pendingChange"] is None
    finally:
        world.sandbox.chaos.configure({})


def test_nobody_plans_or_undoes_what_is_anothers(world, ann):
    bought = subscribe(world, customer(world, "ann"), "pro_monthly")
    change(world, ann, bought, "starter_monthly")
    errors = world.graphql(UNDO, {"input": {"subscriptionId": bought["id"]}}, world.token("bob")).json()["errors"]
    assert [error["extensions"]["code"] for error in errors] == ["NOT_FOUND"]
    assert pending(world, ann) is not None
