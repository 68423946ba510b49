"""Several changes in one: add-ons that come and go, seats, one quote and one charge to the minor unit, whoever asks."""

import pytest

from harness.checkout import ask
from harness.databases import postgres_later
from harness.subscriptions import customer, price_id, settled, subscribe

DAY = 86_400
QUOTE = """query($subscriptionId: ID!, $to: SubscriptionChangeInput!, $when: ChangeTime) { viewer {
    quoteChange(subscriptionId: $subscriptionId, to: $to, when: $when) { userErrors { code field } preview {
      when dueNow { amount } credit { amount } dueAtRenewal { amount } renewsAt prorationDate } } } }"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { items { id quantity plan { id } } pendingChange { items { quantity plan { id } } at
      dueAtRenewal { amount } } }
    invoice { amountDue { amount } } userErrors { code field } } }"""


@pytest.fixture
def ann(world) -> dict[str, str]:
    return world.token("ann")


@pytest.fixture
def addons(world) -> dict[str, str]:
    """Seats by the month and by the year, 2 to 5 of them, and a disk: add-ons, by short names."""

    def made(name: str, amount: int, interval: str = "month", **form) -> str:
        product = world.stripe("POST", "/v1/products", name=name, **{"metadata[addon]": "true", **form})["id"]
        given = {"currency": "usd", "unit_amount": amount, "recurring[interval]": interval}
        return world.stripe("POST", "/v1/prices", product=product, **given)["id"]

    limits = {"metadata[min_quantity]": 2, "metadata[max_quantity]": 5}
    ids = {"seats": made("Seats", 700, **limits), "disk": made("Disk", 333), "year": made("Backup", 5000, "year")}
    world.eventually(lambda: {row["id"] for row in world.rows("price")} >= set(ids.values()))
    return ids


def gone(**named: str) -> dict:
    return {"remove": named}


def to(*items: dict) -> dict:
    return {"to": {"items": [each if "remove" in each else {"set": each} for each in items]}}


def quote(world, me, subscription: dict, *items: dict, when: str = "NOW") -> dict:
    given = {"subscriptionId": subscription["id"], **to(*items), "when": when}
    return world.data(QUOTE, given, me)["viewer"]["quoteChange"]["preview"]


def change(world, me, subscription: dict, *items: dict, **more) -> dict:
    given = {"subscriptionId": subscription["id"], **to(*items), "when": "NOW", **more}
    return world.data(CHANGE, {"input": given}, me)["changeSubscription"]


def codes(payload: dict) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def have(world, subscription: dict) -> dict[str, int]:
    theirs = world.stripe("GET", f"/v1/subscriptions/{subscription['id']}")
    return {item["price"]["id"]: item["quantity"] for item in theirs["items"]["data"]}


def bills(world, subscription: dict) -> list[int]:
    return [each["total"] for each in world.stripe("GET", "/v1/invoices", subscription=subscription["id"])["data"]]


def renewed(world, subscription: dict) -> None:
    theirs = world.stripe("GET", f"/v1/subscriptions/{subscription['id']}")
    world.advance(to=min(item["current_period_end"] for item in theirs["items"]["data"]) + 2 * 3600)
    settled(world, subscription["id"])


@postgres_later
@pytest.mark.parametrize("mode", ["classic", "flexible"])
def test_one_quote_and_one_charge_for_several_changes(world, ann, addons, mode):
    bought = subscribe(world, customer(world, "ann"), **{"billing_mode[type]": mode})
    world.advance(to=world.sandbox.now() + 10 * DAY)
    pro, starter = price_id(world, "pro_monthly"), price_id(world, "starter_monthly")
    wanted = {"priceId": pro}, {"priceId": addons["seats"], "quantity": 3}, {"priceId": addons["disk"]}

    said = quote(world, ann, bought, *wanted)
    done = change(world, ann, bought, *wanted, prorationDate=said["prorationDate"], idempotencyKey="one")
    assert codes(done) == []
    assert done["invoice"]["amountDue"] == said["dueNow"]
    assert said["dueAtRenewal"]["amount"] == 2900 + 3 * 700 + 333
    assert have(world, bought) == {pro: 1, addons["seats"]: 3, addons["disk"]: 1}
    assert len(bills(world, bought)) == 2
    again = change(world, ann, bought, *wanted, prorationDate=said["prorationDate"], idempotencyKey="one")
    assert (again["invoice"], len(bills(world, bought))) == (done["invoice"], 2)

    fewer = (
        {"priceId": starter},
        {"priceId": addons["seats"], "quantity": 2},
        gone(priceId=addons["disk"]),
    )
    later = quote(world, ann, bought, *fewer, when="AUTOMATIC")
    assert (later["when"], later["dueNow"]["amount"]) == ("AT_PERIOD_END", 0)
    waiting = change(world, ann, bought, *fewer, when="AUTOMATIC")["subscription"]["pendingChange"]
    assert waiting["items"] == [
        {"quantity": 1, "plan": {"id": starter}},
        {"quantity": 2, "plan": {"id": addons["seats"]}},
    ]
    assert (waiting["dueAtRenewal"], waiting["at"]) == (later["dueAtRenewal"], later["renewsAt"])
    renewed(world, bought)
    assert have(world, bought) == {starter: 1, addons["seats"]: 2}
    assert bills(world, bought)[0] == later["dueAtRenewal"]["amount"] == 900 + 2 * 700


def test_seats_are_more_at_once_and_fewer_at_the_renewal(world, ann, addons):
    bought = subscribe(world, customer(world, "ann"))
    world.advance(to=world.sandbox.now() + 10 * DAY)
    assert codes(change(world, ann, bought, {"priceId": addons["seats"], "quantity": 4}, when="AUTOMATIC")) == []
    fewer = change(world, ann, bought, {"priceId": addons["seats"], "quantity": 2}, when="AUTOMATIC")
    assert (codes(fewer), fewer["invoice"], have(world, bought)[addons["seats"]]) == ([], None, 4)
    renewed(world, bought)
    assert (have(world, bought)[addons["seats"]], bills(world, bought)[0]) == (2, 900 + 2 * 700)


def test_what_a_dishonest_buyer_cannot_have(world, ann, addons):
    bought = subscribe(world, customer(world, "ann"))
    bob = subscribe(world, customer(world, "bob"), "pro_monthly")
    before = world.stripe("GET", f"/v1/subscriptions/{bought['id']}")["items"], bills(world, bought)
    foreign = bob["items"]["data"][0]["id"]
    seats = {"priceId": addons["seats"]}
    for entries, code in [
        ([{**seats, "quantity": 1}], "QUANTITY_INVALID"),
        ([{**seats, "quantity": 6}], "QUANTITY_INVALID"),
        ([{**seats, "quantity": -3}], "QUANTITY_INVALID"),
        ([{**seats, "quantity": 2}, {"priceId": price_id(world, "credits_100")}], "PRICE_NOT_RECURRING"),
        (
            [{**seats, "quantity": 2}, gone(priceId=price_id(world, "starter_monthly")), seats],
            "QUANTITY_INVALID",
        ),
        ([gone(itemId=bought["items"]["data"][0]["id"])], "LINE_ITEMS_INVALID"),
    ]:
        assert codes(change(world, ann, bought, *entries)) == [code], entries
    for entry in ({"itemId": foreign, "quantity": 1}, gone(itemId=foreign), {"itemId": "si_none"}):
        given = {"subscriptionId": bought["id"], **to(entry)}
        (error,) = world.graphql(CHANGE, {"input": given}, ann).json()["errors"]
        assert error["extensions"]["code"] == "NOT_FOUND"
    with_classic = subscribe(world, customer(world, "cleo"), **{"billing_mode[type]": "classic"})
    mixed = change(world, world.token("cleo"), with_classic, {"priceId": addons["year"]})
    assert codes(mixed) == ["INTERVALS_MIXED"]
    after = world.stripe("GET", f"/v1/subscriptions/{bought['id']}")["items"], bills(world, bought)
    assert after == before
    assert have(world, bob) == {price_id(world, "pro_monthly"): 1}


def test_a_yearly_add_on_stands_beside_a_monthly_plan_and_renews_by_itself(world, ann, addons):
    bought = subscribe(world, customer(world, "ann"))
    world.advance(to=world.sandbox.now() + 10 * DAY)
    wanted = {"priceId": addons["year"]}
    said = quote(world, ann, bought, wanted)
    done = change(world, ann, bought, wanted, prorationDate=said["prorationDate"])
    assert done["invoice"]["amountDue"] == said["dueNow"]
    renewed(world, bought)
    assert bills(world, bought)[0] == 900
    both = change(
        world,
        ann,
        bought,
        gone(priceId=addons["year"]),
        {"priceId": price_id(world, "pro_monthly")},
        when="AT_PERIOD_END",
    )
    assert codes(both) == ["INTERVALS_MIXED"]  # no moment at which both could change


def test_the_sellers_range_is_shown_and_holds_at_the_checkout(world, ann, addons):
    plan = world.data(f'{{ plan(id: "{addons["seats"]}") {{ minQuantity maxQuantity }} }}')["plan"]
    assert plan == {"minQuantity": 2, "maxQuantity": 5}
    for quantity, refused in ((1, True), (6, True), (None, True), (2, False), (5, False)):
        line = {"priceId": addons["seats"], **({} if quantity is None else {"quantity": quantity})}
        answer = ask(world, ann, line)
        found = [(error["code"], error["field"]) for error in answer["userErrors"]]
        assert found == ([("QUANTITY_INVALID", "lineItems.0.quantity")] if refused else [])
        assert (answer["session"] is None) is refused
