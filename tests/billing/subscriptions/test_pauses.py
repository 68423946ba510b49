"""Pauses through the public surface: what is given meanwhile, and that none brings a period for nothing."""

from datetime import UTC, datetime

from harness.databases import both_databases, postgres_later
from harness.gateway import make_world
from harness.subscriptions import customer, price_id, settled, subscribe

DAY = 86_400
FIELDS = "status paused pausedUntil currentPeriodEnd access { allowed reason until }"
PAUSE, RESUME = (
    f"""mutation($input: {kind}SubscriptionInput!) {{ {kind.lower()}Subscription(input: $input) {{
    subscription {{ {FIELDS} }} userErrors {{ code field }} }} }}"""
    for kind in ("Pause", "Resume")
)
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) { userErrors { code } } }"""
SEEN = f"{{ viewer {{ subscriptions {{ {FIELDS} }} }} }}"


def asked(world, query: str, me, subscription: dict, **more) -> dict:
    (answer,) = world.data(query, {"input": {"subscriptionId": subscription["id"], **more}}, me).values()
    return answer


def codes(payload: dict) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def bills(world, subscription: dict) -> list[tuple[str, int]]:
    """Its invoices, the newest first."""
    found = world.stripe("GET", "/v1/invoices", subscription=subscription["id"])["data"]
    return [(each["status"], each["total"]) for each in found]


def end_of(subscription: dict) -> int:
    return subscription["items"]["data"][0]["current_period_end"]


def passes(world, subscription: dict, to: int) -> dict:
    """Let time pass; what the gateway says of the subscription then."""
    world.advance(to=to)
    settled(world, subscription["id"])
    world.eventually(lambda: not world.rows("event", status="pending"))
    return world.data(SEEN, headers=world.token("ann"))["viewer"]["subscriptions"][0]


@postgres_later
def test_a_pause_gives_what_was_paid_for_and_ends_with_a_renewal(world):
    ann, bought = world.token("ann"), subscribe(world, customer(world, "ann"))
    until = datetime.fromtimestamp(end_of(bought) + 5 * DAY, UTC).isoformat()
    done = asked(world, PAUSE, ann, bought, until=until, idempotencyKey="pause")
    paused = done["subscription"]
    assert (codes(done), paused["status"], paused["paused"]) == ([], "ACTIVE", True)
    assert paused["access"] == {"allowed": True, "reason": "ACTIVE", "until": paused["currentPeriodEnd"]}
    again = asked(world, PAUSE, ann, bought, until=until, idempotencyKey="pause")
    assert again == done

    seen = passes(world, bought, end_of(bought) + 2 * 3600)
    assert seen["access"] == {"allowed": False, "reason": "PAUSED", "until": None}
    assert bills(world, bought) == [("void", 900), ("paid", 900)]
    resumes = datetime.fromisoformat(paused["pausedUntil"]).timestamp()
    assert (
        resumes + 60
        == world.stripe("GET", f"/v1/subscriptions/{bought['id']}")["items"]["data"][0]["current_period_end"]
    )
    seen = passes(world, bought, int(resumes) + 2 * 3600)
    assert (seen["paused"], seen["pausedUntil"], seen["access"]["allowed"]) == (False, None, True)
    assert bills(world, bought) == [("paid", 900), ("void", 900), ("paid", 900)]


def test_who_pauses_before_a_renewal_and_resumes_after_it_pays_for_the_time(world):
    ann, bought = world.token("ann"), subscribe(world, customer(world, "ann"))
    asked(world, PAUSE, ann, bought)
    assert codes(asked(world, RESUME, ann, bought)) == []  # what was paid for goes on, and nothing is charged
    assert bills(world, bought) == [("paid", 900)]
    asked(world, PAUSE, ann, bought)
    seen = passes(world, bought, end_of(bought) + 10 * DAY)
    assert seen["access"]["reason"] == "PAUSED"
    good = world.stripe("GET", f"/v1/subscriptions/{bought['id']}")["default_payment_method"]
    bad = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=bought["customer"])
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", default_payment_method=bad["id"])
    assert codes(asked(world, RESUME, ann, bought)) == ["PAYMENT_FAILED"]
    assert world.stripe("GET", f"/v1/subscriptions/{bought['id']}")["pause_collection"]["behavior"] == "void"
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", default_payment_method=good)
    resumed = asked(world, RESUME, ann, bought)
    assert (codes(resumed), bills(world, bought)) == ([], [("paid", 900), ("void", 900), ("paid", 900)])
    access = resumed["subscription"]["access"]
    assert (access["allowed"], access["until"]) == (True, resumed["subscription"]["currentPeriodEnd"])
    assert datetime.fromisoformat(access["until"]).timestamp() > world.sandbox.now() + 27 * DAY


def year_at_stripe(world, bought: dict) -> None:
    """Change a subscription to the yearly plan as Stripe's portal does, at once."""
    (item,), yearly = bought["items"]["data"], price_id(world, "starter_yearly")
    change = {"items[0][id]": item["id"], "items[0][price]": yearly, "proration_behavior": "always_invoice"}
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", **change)


def stands(world) -> tuple[bool, bool, str]:
    """Whether ann's subscription is paused, whether it gives access, and why."""
    (seen,) = world.data(SEEN, headers=world.token("ann"))["viewer"]["subscriptions"]
    return seen["paused"], seen["access"]["allowed"], seen["access"]["reason"]


@both_databases
def test_a_year_that_a_pause_has_kept_from_being_billed_is_not_given_when_the_pause_ends(world):
    ann, bought = world.token("ann"), subscribe(world, customer(world, "ann"))
    renewal = end_of(bought)
    asked(world, PAUSE, ann, bought, until=datetime.fromtimestamp(renewal - DAY, UTC).isoformat())
    year_at_stripe(world, bought)
    assert bills(world, bought)[0][0] == "void"
    month = datetime.fromtimestamp(renewal, UTC).isoformat().replace("+00:00", "Z")
    paid = {"allowed": True, "reason": "ACTIVE", "until": month}
    world.eventually(lambda: passes(world, bought, renewal - DAY)["access"], paid)
    world.advance(to=renewal + 10 * DAY)
    assert world.stripe("GET", f"/v1/subscriptions/{bought['id']}")["pause_collection"] is None
    world.eventually(lambda: world.rows("subscription", id=bought["id"])[0]["pause_behavior"], None)
    world.eventually(lambda: stands(world), (True, False, "PAUSED"))
    given = {"priceId": price_id(world, "starter_monthly"), "when": "NOW"}
    assert codes(asked(world, CHANGE, ann, bought, **given)) == ["SUBSCRIPTION_PAUSED"]  # it would credit the year
    resumed = asked(world, RESUME, ann, bought)
    assert (codes(resumed), bills(world, bought)[0]) == ([], ("paid", 9000))
    access = resumed["subscription"]["access"]
    assert (access["allowed"], access["until"]) == (True, resumed["subscription"]["currentPeriodEnd"])


def test_what_waits_for_an_invoice_that_the_pause_voids_is_not_given(world):
    who = customer(world, "ann")
    ann, bought = world.token("ann"), subscribe(world, who)
    asked(world, PAUSE, ann, bought)
    (item,), dearer = bought["items"]["data"], price_id(world, "business_monthly")
    change = {"items[0][id]": item["id"], "items[0][price]": dearer, "proration_behavior": "create_prorations"}
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", **change)
    world.eventually(lambda: world.rows("subscription_item", id=item["id"])[0]["price_id"], dearer)
    query = """{ viewer { subscriptions { paused access { allowed } } sso: access(feature: "sso") { allowed }
        projects: access(feature: "projects") { allowed } } }"""
    found = world.data(query, headers=ann)["viewer"]
    assert found["subscriptions"] == [{"paused": True, "access": {"allowed": True}}]
    assert (found["sso"]["allowed"], found["projects"]["allowed"]) == (False, True)


def test_what_the_seller_lets_pass_unpaid_is_a_gift(world):
    bought = subscribe(world, customer(world, "ann"))
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", **{"pause_collection[behavior]": "void"})
    world.advance(to=end_of(bought) + 2 * 3600)
    world.eventually(lambda: stands(world), (True, False, "PAUSED"))
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", pause_collection="")
    world.eventually(lambda: stands(world), (False, True, "ACTIVE"))


def test_a_yearly_add_on_is_not_charged_again_when_a_monthly_plan_goes_on(world):
    ann, who = world.token("ann"), customer(world, "ann")
    product = world.stripe("POST", "/v1/products", name="Backup", **{"metadata[addon]": "true"})["id"]
    given = {"currency": "usd", "unit_amount": 5000, "recurring[interval]": "year"}
    yearly = world.stripe("POST", "/v1/prices", product=product, **given)["id"]
    bought = subscribe(world, who, **{"billing_mode[type]": "flexible", "items[1][price]": yearly})
    asked(world, PAUSE, ann, bought)
    passes(world, bought, end_of(bought) + 10 * DAY)
    resumed = asked(world, RESUME, ann, bought)
    assert (codes(resumed), bills(world, bought)) == ([], [("void", 900), ("paid", 5900)])
    resumes = int(datetime.fromisoformat(resumed["subscription"]["pausedUntil"]).timestamp())
    passes(world, bought, resumes + 2 * 3600)
    assert bills(world, bought) == [("paid", 900), ("void", 900), ("paid", 5900)]


def test_nobody_pauses_out_of_a_debt_nor_changes_while_nothing_is_collected(world):
    ann, bought = world.token("ann"), subscribe(world, customer(world, "ann"))
    asked(world, PAUSE, ann, bought)
    for when in ("NOW", "AT_PERIOD_END"):
        given = {"priceId": price_id(world, "business_monthly"), "when": when}
        assert codes(asked(world, CHANGE, ann, bought, **given)) == ["SUBSCRIPTION_PAUSED"]
    assert codes(asked(world, RESUME, ann, bought)) == []
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", cancel_at_period_end="true")
    assert codes(asked(world, PAUSE, ann, bought)) == ["SUBSCRIPTION_ENDING"]
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", cancel_at_period_end="false")
    bad = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=bought["customer"])
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", default_payment_method=bad["id"])
    world.advance(to=end_of(bought) + 30 * 3600)
    assert codes(asked(world, PAUSE, ann, bought)) == ["INVOICE_UNPAID"]
    errors = world.graphql(PAUSE, {"input": {"subscriptionId": bought["id"]}}, world.token("bob")).json()["errors"]
    assert [error["extensions"]["code"] for error in errors] == ["NOT_FOUND"]


def test_what_was_used_and_what_waits_to_be_billed_is_not_paused_away(world):
    ann, who = world.token("ann"), customer(world, "ann")
    metered = subscribe(world, who, "api_calls_metered")
    assert codes(asked(world, PAUSE, ann, metered)) == ["PAUSE_UNAVAILABLE"]
    world.stripe("DELETE", f"/v1/subscriptions/{metered['id']}")
    bought = subscribe(world, who)
    item = world.stripe("POST", "/v1/invoiceitems", customer=who, subscription=bought["id"], amount=500, currency="usd")
    assert codes(asked(world, PAUSE, ann, bought)) == ["PAUSE_UNAVAILABLE"]
    world.stripe("DELETE", f"/v1/invoiceitems/{item['id']}")
    assert codes(asked(world, PAUSE, ann, bought)) == []


def test_by_the_setting_access_goes_on_for_nothing(sqlite_url):
    with make_world(sqlite_url, pause_access="free") as world:
        bought = subscribe(world, customer(world, "ann"))
        asked(world, PAUSE, world.token("ann"), bought)
        seen = passes(world, bought, end_of(bought) + 10 * DAY)
        assert (seen["paused"], seen["access"]["allowed"]) == (True, True)
        assert bills(world, bought) == [("uncollectible", 900), ("paid", 900)]
