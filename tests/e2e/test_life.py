"""The life of two signed-in customers, through the gateway's public API and Stripe's own pages alone.

It is lived twice, with webhooks in order and with webhooks in any order and more than once, and ends the same.
"""

import asyncio
import re
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.mirror.reconcile import compare
from gateway.runtime import open_runtime
from harness.checkout import CARD, buy
from harness.databases import both_databases
from harness.gateway import SERVICE, World, make_world
from harness.subscriptions import price_id

BEGIN = 1_893_477_600  # 2030-01-01, 6 o'clock in UTC: what is charged for half a month is the same in every run
DAY = 86_400
TRIAL_IS_OVER, RENEWAL_FAILED, RETRIED, LONG_OVER = 15, 46, 49.5, 80
MID_PERIOD = 14 + 31 / 2 + 27 / DAY
"""Some seconds after the middle of the paid month: what a run takes then changes neither a cent of half a price (67 s
would) nor half of 1,000 credits, which are 500 to the second and, rounded down, 499 from then on for 45 minutes.
"""
SETTLED = {"applied", "ignored", "stale"}
TROUBLE = {"duplicate": 0.5, "reorder": 0.5}
FAILS_WHEN_CHARGED, GOOD = "4000 0000 0000 0341", "5555 5555 5555 4444"

VIEWER = """{ viewer {
    subscription { id }
    subscriptions {
      status willCancel quantity currentPeriodStart currentPeriodEnd trialEnd cancelAt endedAt
      plan { product { name } }
      access { allowed reason until }
    }
    invoices(first: 50) { nodes {
      status createdAt paidAt
      total { amount } amountDue { amount } amountPaid { amount } amountRemaining { amount }
      lines { description amount { amount } }
    } }
    credits { balance entries(first: 50) { nodes { kind amount balance reason } } }
    entitlements { feature limit until source }
    paymentMethod { brand last4 }
} }"""
PREVIEW = """query($s: ID!, $p: ID!, $q: Int) { viewer { previewChange(subscriptionId: $s, priceId: $p, quantity: $q) {
    dueNow { amount } prorationDate } } }"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    invoice { amountPaid { amount } } userErrors { code } } }"""
CANCEL = """mutation($input: CancelSubscriptionInput!) { cancelSubscription(input: $input) {
    subscription { willCancel } userErrors { code } } }"""
RESUME = """mutation($input: ResumeSubscriptionInput!) { resumeSubscription(input: $input) {
    subscription { willCancel } userErrors { code } } }"""
PORTAL = """mutation($input: CreatePortalSessionInput!) { createPortalSession(input: $input) { url } }"""
SPEND = """mutation($input: SpendCreditsInput!) { spendCredits(input: $input) { userErrors { code } } }"""


@pytest.mark.soak
@both_databases
def test_two_customers_live_their_lives_and_end_the_same_whatever_the_webhooks_do(database_url, another_database_url):
    ada, grace = lives(database_url, {})
    assert lives(another_database_url, TROUBLE) == [ada, grace]
    assert [each["subscription"] for each in (ada, grace)] == [None, None]
    assert [each["entitlements"] for each in (ada, grace)] == [[], []]
    assert charged(ada) == [0, 2900, 8500, 19900]  # a trial, Pro, half a month of Business instead, Business
    assert charged(grace) == [0, 2900, 800, 4500]  # and of Team with three seats
    assert spent(ada) == [-300]
    assert spent(grace) == [-450]


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    world: World
    name: str

    @property
    def headers(self) -> dict[str, str]:
        return self.world.token(self.name, email=f"{self.name}@example.com", email_verified=True)

    def sees(self) -> dict[str, Any]:
        return self.asks(VIEWER)["viewer"]

    def asks(self, document: str, **variables: Any) -> dict[str, Any]:
        return self.world.data(document, variables, self.headers)

    def stands(self, status: str, reason: str, *, allowed: bool = True) -> None:
        """Wait until the only subscription stands so."""

        def standing() -> list[tuple[Any, ...]]:
            all_of_them = self.sees()["subscriptions"]
            return [(each["status"], each["access"]["reason"], each["access"]["allowed"]) for each in all_of_them]

        self.world.eventually(standing, [(status, reason, allowed)], seconds=20)

    def signs_up(self) -> None:
        buy(self.world, self.headers, "pro_monthly")
        self.stands("TRIALING", "TRIALING")

    def spends(self, amount: int) -> None:
        self.world.eventually(lambda: self.sees()["credits"]["balance"], 1000, seconds=20)  # of the first paid month
        given = {"externalId": self.name, "amount": amount, "idempotencyKey": uuid.uuid4().hex}
        for _ in range(2):  # sent twice, spent once
            assert self.world.data(SPEND, {"input": given}, SERVICE)["spendCredits"]["userErrors"] == []
        assert self.sees()["credits"]["balance"] == 1000 - amount

    def upgrades(self, lookup_key: str, quantity: int | None = None) -> None:
        subscription, price = self.sees()["subscription"]["id"], price_id(self.world, lookup_key)
        quote = self.asks(PREVIEW, s=subscription, p=price, q=quantity)["viewer"]["previewChange"]
        given = {"subscriptionId": subscription, "priceId": price, "prorationDate": quote["prorationDate"]}
        changed = self.asks(CHANGE, input={**given, "quantity": quantity})["changeSubscription"]
        assert changed == {"invoice": {"amountPaid": quote["dueNow"]}, "userErrors": []}

    def pays_with(self, number: str) -> None:
        """Give another card on the portal's page."""
        given = {"returnUrl": "https://shop.example/", "flow": "PAYMENT_METHOD_UPDATE"}
        url = self.asks(PORTAL, input=given)["createPortalSession"]["url"]
        form = {**CARD, "card_number": number, "action": "pay"}
        saved = self.world.client.post(f"{url}/payment-method", data=form, headers={"Origin": self.world.stripe_url})
        assert saved.status_code == 303, saved.text
        self.world.eventually(lambda: self.sees()["paymentMethod"]["last4"], number[-4:], seconds=20)

    def leaves_stays_and_leaves(self) -> None:
        which = {"subscriptionId": self.sees()["subscription"]["id"]}
        assert self.asks(CANCEL, input=which)["cancelSubscription"]["subscription"]["willCancel"]
        assert not self.asks(RESUME, input=which)["resumeSubscription"]["subscription"]["willCancel"]
        assert self.asks(CANCEL, input=which)["cancelSubscription"]["subscription"]["willCancel"]


def lives(database_url: str, trouble: dict[str, float]) -> list[Any]:
    """Live both lives with this trouble with webhooks; what the two see in the end."""
    with make_world(database_url, clock=BEGIN) as world:
        world.sandbox.chaos.configure(trouble)
        both = ada, grace = Person(world, "ada"), Person(world, "grace")
        for each in both:
            each.signs_up()
        all_stand(both, TRIAL_IS_OVER, "ACTIVE", "ACTIVE")
        ada.spends(300)
        grace.spends(450)
        all_stand(both, MID_PERIOD, "ACTIVE", "ACTIVE")
        ada.upgrades("business_monthly")
        grace.upgrades("team_monthly", quantity=3)
        for each in both:
            each.pays_with(FAILS_WHEN_CHARGED)
        all_stand(both, RENEWAL_FAILED, "PAST_DUE", "GRACE_PERIOD")
        for each in both:
            each.pays_with(GOOD)
        all_stand(both, RETRIED, "ACTIVE", "ACTIVE")
        for each in both:
            each.leaves_stays_and_leaves()
        all_stand(both, LONG_OVER, "CANCELED", "CANCELED", allowed=False)
        ends_as_stripe_has_it(world)
        assert troubles_met(world) == set(trouble)
        for each in both:
            world.eventually(lambda each=each: each.sees()["credits"]["balance"], 0, seconds=20)  # they have run out
        return [without_hours(without_expiries(each.sees())) for each in both]


def all_stand(people: tuple[Person, ...], day: float, status: str, reason: str, *, allowed: bool = True) -> None:
    """Let the time come, and wait until everybody's subscription stands so."""
    people[0].world.advance(to=BEGIN + int(day * DAY))
    for each in people:
        each.stands(status, reason, allowed=allowed)


def troubles_met(world: World) -> set[str]:
    """What has happened to webhooks on their way."""
    deliveries = world.client.get(f"{world.stripe_url}/_sandbox/deliveries").json()["data"]
    return {trouble for delivery in deliveries for trouble in delivery["troubles"]}


def charged(seen: dict[str, Any]) -> list[int]:
    return [invoice["amountPaid"]["amount"] for invoice in reversed(seen["invoices"]["nodes"])]


def spent(seen: dict[str, Any]) -> list[int]:
    return [amount for kind, amount, _ in seen["credits"]["entries"] if kind == "SPEND"]


def without_expiries(seen: dict[str, Any]) -> dict[str, Any]:
    """The same without the entries that say what has run out: they are written when somebody gets round to it."""
    entries = [
        (entry["kind"], entry["amount"], entry["reason"])
        for entry in seen["credits"]["entries"]["nodes"]
        if entry["kind"] != "EXPIRE"
    ]
    return {**seen, "credits": {**seen["credits"], "entries": entries}}


def without_hours(seen: Any) -> Any:
    """The same with days for moments: a run takes some seconds more or less."""
    match seen:
        case dict():
            return {key: without_hours(value) for key, value in seen.items()}
        case list():
            return [without_hours(each) for each in seen]
        case str() if re.match(r"\d{4}-\d\d-\d\dT", seen):
            return seen[:10]
    return seen


def ends_as_stripe_has_it(world: World) -> None:
    """Every event was applied, and everything that Stripe lists is in the mirror as Stripe has it."""

    async def differences() -> list:
        async with open_runtime(world.settings) as runtime:
            steps = compare(runtime.database, runtime.require_stripe())
            return [difference async for step in steps for difference in step.differences]

    world.eventually(lambda: {row["status"] for row in world.rows("event")} <= SETTLED, seconds=20)
    world.eventually(lambda: asyncio.run(differences()), [], seconds=30)
