"""Changes whose payment the bank wants confirmed: nothing changes before, whoever waits, and the page does it."""

import re

import pytest

from harness.databases import postgres_later
from harness.subscriptions import customer, price_id, settled, subscribe

SUB = (
    "id plan { id } confirmation { url expiresAt amount { amount } items { plan { id } quantity } } access { allowed }"
)
CHANGE = f"""mutation($input: ChangeSubscriptionInput!) {{ changeSubscription(input: $input) {{
    subscription {{ {SUB} }} invoice {{ status amountDue {{ amount }} }} userErrors {{ code }} }} }}"""
QUOTE = """query($subscriptionId: ID!, $priceId: ID!) { viewer {
    previewChange(subscriptionId: $subscriptionId, priceId: $priceId) { dueNow { amount } prorationDate } } }"""
UNDO = f"""mutation($input: CancelPendingChangeInput!) {{ cancelPendingChange(input: $input) {{
    subscription {{ {SUB} }} userErrors {{ code }} }} }}"""
CANCEL = """mutation($input: CancelSubscriptionInput!) { cancelSubscription(input: $input) {
    subscription { willCancel confirmation { url } } userErrors { code } } }"""


@pytest.fixture
def ann(world) -> dict[str, str]:
    return world.token("ann")


@pytest.fixture
def careful(world) -> dict:
    """Ann's Starter plan, paid by a card whose bank wants each payment confirmed."""
    bought = subscribe(world, customer(world, "ann"))
    card = "pm_card_authenticationRequired"
    method = world.stripe("POST", f"/v1/payment_methods/{card}/attach", customer=bought["customer"])
    return world.stripe("POST", f"/v1/subscriptions/{bought['id']}", default_payment_method=method["id"])


def change(world, me, subscription: dict, lookup_key: str = "pro_monthly", **more) -> dict:
    given = {"subscriptionId": subscription["id"], "priceId": price_id(world, lookup_key), **more}
    return world.data(CHANGE, {"input": given}, me)["changeSubscription"]


def confirm(world, url: str, action: str = "approve") -> None:
    """Do what the buyer does on the page, in his browser."""
    page = world.client.get(url.replace("https://", "http://")).text
    (path,) = re.findall(r'data-testid="confirm" href="([^"]+)"', page)
    answer = world.client.post(
        f"{world.stripe_url}{path}", data={"action": action}, headers={"Origin": world.stripe_url}
    )
    assert answer.status_code < 400, answer.text


def what_ann_has(world, me) -> dict:
    """What she may use, until when, and what she may spend."""
    query = """{ viewer { entitlements { feature until } credits { balance } access(feature: "automation") { allowed }
        subscription { access { allowed reason until } } } }"""
    return world.data(query, headers=me)["viewer"]


def at_stripe(world, subscription: dict) -> tuple[str, list[str]]:
    """Its plan, and the states of its invoices."""
    theirs = world.stripe("GET", f"/v1/subscriptions/{subscription['id']}")
    listed = world.stripe("GET", "/v1/invoices", subscription=subscription["id"])["data"]
    return theirs["items"]["data"][0]["price"]["lookup_key"], [each["status"] for each in listed]


@postgres_later
def test_nothing_changes_before_the_buyer_has_confirmed(world, ann, careful):
    world.advance(to=world.sandbox.now() + 10 * 86_400)
    starter = what_ann_has(world, ann)
    assert (starter["credits"]["balance"], [each["feature"] for each in starter["entitlements"]]) == (0, ["projects"])
    its = {"subscriptionId": careful["id"], "priceId": price_id(world, "pro_monthly")}
    quote = world.data(QUOTE, its, ann)["viewer"]["previewChange"]
    done = change(world, ann, careful, prorationDate=quote["prorationDate"])
    found = done["subscription"]
    assert done["userErrors"] == []
    assert found["plan"]["id"] == price_id(world, "starter_monthly")
    assert found["confirmation"]["items"] == [{"plan": {"id": its["priceId"]}, "quantity": 1}]
    assert found["confirmation"]["amount"] == quote["dueNow"]
    assert (at_stripe(world, careful), found["access"]["allowed"]) == (("starter_monthly", ["open", "paid"]), True)

    again = change(world, ann, careful)  # asked again, it is the same page
    assert again["subscription"]["confirmation"]["url"].split("?")[0] == found["confirmation"]["url"].split("?")[0]
    assert at_stripe(world, careful)[1] == ["open", "paid"]
    held = what_ann_has(world, ann)
    assert held == starter
    confirm(world, found["confirmation"]["url"])
    assert at_stripe(world, careful) == ("pro_monthly", ["paid", "paid"])
    query = f"{{ viewer {{ subscription {{ {SUB} }} }} }}"
    world.eventually(lambda: world.data(query, headers=ann)["viewer"]["subscription"]["plan"]["id"], its["priceId"])
    assert world.data(query, headers=ann)["viewer"]["subscription"]["confirmation"] is None
    world.eventually(lambda: what_ann_has(world, ann)["credits"]["balance"] > 0)
    assert "automation" in [each["feature"] for each in what_ann_has(world, ann)["entitlements"]]
    settled(world, careful["id"])


def test_what_waits_is_replaced_undone_and_taken_along(world, ann, careful):
    change(world, ann, careful)
    its = {"subscriptionId": careful["id"], "priceId": price_id(world, "business_monthly")}
    quote = world.data(QUOTE, its, ann)["viewer"]["previewChange"]
    other = change(world, ann, careful, "business_monthly", prorationDate=quote["prorationDate"])
    assert other["subscription"]["confirmation"]["amount"] == quote["dueNow"]
    assert other["subscription"]["confirmation"]["items"][0]["plan"]["id"] == price_id(world, "business_monthly")
    assert at_stripe(world, careful) == ("starter_monthly", ["open", "void", "paid"])
    undone = world.data(UNDO, {"input": {"subscriptionId": careful["id"]}}, ann)["cancelPendingChange"]
    assert (undone["userErrors"], undone["subscription"]["confirmation"]) == ([], None)
    assert at_stripe(world, careful) == ("starter_monthly", ["void", "void", "paid"])
    change(world, ann, careful)
    left = world.data(CANCEL, {"input": {"subscriptionId": careful["id"]}}, ann)["cancelSubscription"]
    assert left == {"subscription": {"willCancel": True, "confirmation": None}, "userErrors": []}
    assert at_stripe(world, careful) == ("starter_monthly", ["void", "void", "void", "paid"])


def test_a_decline_and_a_change_that_is_not_confirmed_in_time_change_nothing(world, ann, careful):
    url = change(world, ann, careful)["subscription"]["confirmation"]["url"]
    confirm(world, url, "fail")
    assert at_stripe(world, careful)[0] == "starter_monthly"
    world.advance(to=world.sandbox.now() + 24 * 3600)
    query = "{ viewer { subscription { confirmation { url } plan { id } } } }"
    plan = price_id(world, "starter_monthly")
    world.eventually(
        lambda: world.data(query, headers=ann)["viewer"]["subscription"], {"confirmation": None, "plan": {"id": plan}}
    )
    assert at_stripe(world, careful) == ("starter_monthly", ["void", "paid"])
    bad = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=careful["customer"])
    world.stripe("POST", f"/v1/subscriptions/{careful['id']}", default_payment_method=bad["id"])
    refused = change(world, ann, careful)
    assert ([error["code"] for error in refused["userErrors"]], refused["subscription"]) == (["PAYMENT_FAILED"], None)
    for verb in ("pause", "resume"):  # what was paid for is not charged again because a change's invoice is void
        done = f"{verb}Subscription(input: {{subscriptionId: $id}}) {{ userErrors {{ code }} }}"
        said = world.data(f"mutation($id: ID!) {{ {done} }}", {"id": careful["id"]}, ann)
        assert said == {f"{verb}Subscription": {"userErrors": []}}
    assert at_stripe(world, careful) == ("starter_monthly", ["void", "paid"])
