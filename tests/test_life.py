"""The life of two signed-in customers through the public API: it ends as Stripe has it, whatever the webhooks do."""

import asyncio
import uuid

import pytest
from buyers import buy
from conftest import SERVICE_TOKEN, both_databases, make_world
from subscribers import price_id

from gateway.database import Database
from gateway.mirror.reconcile import compare
from gateway.stripe_client import Stripe

DAY = 86_400
SERVICE = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
TROUBLE = {"duplicate": 0.5, "reorder": 0.5}
VIEWER = """{ viewer {
    subscription { id status willCancel plan { id } access { allowed reason } }
    subscriptions { id status access { allowed reason } }
    invoices { nodes { status } }
    credits { balance }
    entitlements { feature }
} }"""
PREVIEW = """query($s: ID!, $p: ID!) { viewer { previewChange(subscriptionId: $s, priceId: $p) {
    dueNow { amount } prorationDate } } }"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    invoice { amountPaid { amount } } userErrors { code } } }"""
CANCEL = """mutation($input: CancelSubscriptionInput!) { cancelSubscription(input: $input) {
    subscription { willCancel } userErrors { code } } }"""
RESUME = """mutation($input: ResumeSubscriptionInput!) { resumeSubscription(input: $input) {
    subscription { willCancel } userErrors { code } } }"""
SPEND = """mutation($input: SpendCreditsInput!) { spendCredits(input: $input) { userErrors { code } } }"""


@both_databases
@pytest.mark.parametrize("trouble", [{}, TROUBLE], ids=["in order", "out of order and twice"])
def test_two_customers_live_their_lives_and_end_as_stripe_has_them(database_url, trouble):
    with make_world(database_url) as world:
        world.sandbox.webhooks.chaos.configure({**trouble, "delay_seconds": 0.2})
        ada, grace = world.token("ada"), world.token("grace")
        subscription = buy(world, ada, "pro_monthly")["subscription"]["id"]
        buy(world, grace, "starter_yearly")
        becomes(world, ada, "TRIALING", "TRIALING")
        pass_days(world, 15)
        becomes(world, ada, "ACTIVE", "ACTIVE")
        spend_some_credits(world, ada)
        upgrade_as_quoted(world, ada, subscription)
        fail_and_recover(world, ada, subscription)
        leave_and_stay_and_leave(world, ada, subscription)
        ends_as_stripe_has_it(world)
        seen = viewer(world, ada)
        assert seen["subscription"] is None
        assert [each["access"]["allowed"] for each in seen["subscriptions"]] == [False]
        assert viewer(world, grace)["subscription"]["status"] == "ACTIVE"


def viewer(world, headers) -> dict:
    return world.data(VIEWER, headers=headers)["viewer"]


def pass_days(world, days: float) -> None:
    world.sandbox.clock.advance(world.sandbox.now() + int(days * DAY))


def becomes(world, headers, status: str, reason: str) -> None:
    """Wait until the only subscription stands so."""

    def standing():
        subscriptions = viewer(world, headers)["subscriptions"]
        return [(each["status"], each["access"]["reason"]) for each in subscriptions]

    world.eventually(standing, [(status, reason)], seconds=20)


def spend_some_credits(world, ada) -> None:
    world.eventually(lambda: viewer(world, ada)["credits"]["balance"], 1000, seconds=20)  # of the first paid month
    given = {"externalId": "ada", "amount": 300, "idempotencyKey": uuid.uuid4().hex}
    for _ in range(2):  # sent twice, spent once
        assert world.data(SPEND, {"input": given}, SERVICE)["spendCredits"]["userErrors"] == []
    assert viewer(world, ada)["credits"]["balance"] == 700


def upgrade_as_quoted(world, ada, subscription: str) -> None:
    business = price_id(world, "business_monthly")
    quote = world.data(PREVIEW, {"s": subscription, "p": business}, ada)["viewer"]["previewChange"]
    given = {"subscriptionId": subscription, "priceId": business, "prorationDate": quote["prorationDate"]}
    changed = world.data(CHANGE, {"input": given}, ada)["changeSubscription"]
    assert changed["userErrors"] == []
    assert changed["invoice"]["amountPaid"] == quote["dueNow"]
    world.eventually(lambda: {"feature": "sso"} in viewer(world, ada)["entitlements"], seconds=20)


def fail_and_recover(world, ada, subscription: str) -> None:
    theirs = world.stripe("GET", f"/v1/subscriptions/{subscription}")
    good = theirs["default_payment_method"]
    bad = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=theirs["customer"])
    world.stripe("POST", f"/v1/subscriptions/{subscription}", default_payment_method=bad["id"])
    end = theirs["items"]["data"][0]["current_period_end"]
    world.sandbox.clock.advance(end + DAY)
    world.eventually(lambda: viewer(world, ada)["subscriptions"][0]["status"], "PAST_DUE", seconds=20)
    latest = world.stripe("GET", f"/v1/subscriptions/{subscription}")["latest_invoice"]
    world.stripe("POST", f"/v1/subscriptions/{subscription}", default_payment_method=good)
    world.stripe("POST", f"/v1/invoices/{latest}/pay", payment_method=good)
    becomes(world, ada, "ACTIVE", "ACTIVE")


def leave_and_stay_and_leave(world, ada, subscription: str) -> None:
    given = {"input": {"subscriptionId": subscription}}
    assert world.data(CANCEL, given, ada)["cancelSubscription"]["subscription"]["willCancel"]
    assert not world.data(RESUME, given, ada)["resumeSubscription"]["subscription"]["willCancel"]
    assert world.data(CANCEL, given, ada)["cancelSubscription"]["subscription"]["willCancel"]
    pass_days(world, 35)
    becomes(world, ada, "CANCELED", "CANCELED")


def ends_as_stripe_has_it(world) -> None:
    """Everything that Stripe lists is in the mirror as Stripe has it."""

    async def differences() -> list:
        database, stripe = Database(world.settings.database_url.get_secret_value()), Stripe(world.settings)
        found = [difference async for step in compare(database, stripe) for difference in step.differences]
        await stripe.close()
        await database.close()
        return found

    world.eventually(lambda: asyncio.run(differences()), [], seconds=30)
