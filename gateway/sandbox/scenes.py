"""Scenes: what happens to subscribers sooner or later, at the press of a button.

Each is played by requests that an application could have made, and by letting time pass. It is about a customer who is
named, and his subscription, or about a new one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gateway.sandbox.core import cards
from gateway.sandbox.core.errors import StripeError, invalid
from gateway.sandbox.core.periods import DAY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_CHARGED_AFTER = 3_700
"""Seconds from the end of a period until its invoice has been charged: a draft waits for an hour."""
_PAID_FOR = frozenset({"active", "trialing"})


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene.

    Attributes:
        label: What the button says.
        hint: What happens.
        play: Plays it for a subscriber, and returns the subscription.
    """

    label: str
    hint: str
    play: Callable[[Subscriber], Awaitable[Obj]]


class Subscriber:
    """The customer whom a scene is about.

    Args:
        sandbox: The account.
        base_url: Where its pages are.
        customer: An id; None makes a new customer.

    Raises:
        StripeError: There is no such customer, or he lives on a test clock, which only its owner moves.
    """

    def __init__(self, sandbox: Sandbox, base_url: str, customer: str | None) -> None:
        self._sandbox = sandbox
        self._base_url = base_url
        if customer is None:
            self.customer = self.call("POST", "/v1/customers", {"name": "Scene", "email": "scene@example.com"})
        else:
            self.customer = sandbox.need("customer", customer, "customer")
        if self.customer.get("test_clock"):
            raise invalid("This customer lives on a test clock: advance that one.", "customer")

    def call(self, method: str, path: str, params: Obj | None = None) -> Obj:
        """Do what a request to the API does."""
        return self._sandbox.call(method, path, params, base_url=self._base_url)

    async def pass_time(self, to: int) -> None:
        """Let the time come to a moment, with all that is due on the way."""
        await self._sandbox.clock.advance_async(max(to, self._sandbox.now()))

    @property
    def now(self) -> int:
        """The present moment, in Unix seconds."""
        return self._sandbox.now()

    def card(self, test_card: str = "pm_card_visa") -> str:
        """Save a test card as the one that is charged; its id."""
        key = self.customer["id"]
        method = self.call("POST", f"/v1/payment_methods/{test_card}/attach", {"customer": key})
        default = {"invoice_settings": {"default_payment_method": method["id"]}}
        self.call("POST", f"/v1/customers/{key}", default)
        return str(method["id"])

    def subscription(self) -> Obj:
        """Return the customer's subscription that goes on, or a new one that a good card pays."""
        for found in self._sandbox.store.find("subscription", customer=self.customer["id"]):
            if found["status"] in _PAID_FOR and not found["cancel_at"] and not found["cancel_at_period_end"]:
                return found
        self.card()
        return self.subscribe(self.prices()[-1])

    def subscribe(self, price: Obj, **params: object) -> Obj:
        """Make a subscription."""
        items = [{"price": price["id"]}]
        return self.call("POST", "/v1/subscriptions", {"customer": self.customer["id"], "items": items, **params})

    def prices(self) -> list[Obj]:
        """Return monthly prices in the customer's currency, the cheapest first; where there is none, one is made."""
        currency = self.customer.get("currency") or "usd"
        found = [price for price in self._sandbox.store.find("price", active=True) if _suits(price, currency)]
        found = found or [self._new_price(currency, 2900)]
        return sorted(found, key=lambda price: int(price["unit_amount"]))

    def cheaper_than(self, price: Obj) -> Obj:
        """Return the cheapest price, or a new one at half the amount where none is cheaper than the given one."""
        cheapest, amount = self.prices()[0], int(price["unit_amount"] or 2)
        if int(cheapest["unit_amount"]) < amount:
            return cheapest
        return self._new_price(price["currency"], max(amount // 2, 1))

    def _new_price(self, currency: str, amount: int) -> Obj:
        plan = {"recurring": {"interval": "month"}, "product_data": {"name": "Scene"}}
        return self.call("POST", "/v1/prices", {"currency": currency, "unit_amount": amount, **plan})

    def store(self, obj: Obj, event: str) -> None:
        """Change what no request can."""
        with self._sandbox.store.transaction():
            self._sandbox.update(obj, event)

    def method(self, id: str) -> Obj:
        """Return a payment method."""
        return self._sandbox.need("payment_method", id)


def _suits(price: Obj, currency: str) -> bool:
    recurring = price["recurring"] or {}
    monthly = recurring.get("interval") == "month" and recurring.get("interval_count") == 1
    flat = price["billing_scheme"] == "per_unit" and recurring.get("usage_type") == "licensed"
    return monthly and flat and bool(price["unit_amount"]) and price["currency"] == currency


async def renewal_fails(subscriber: Subscriber) -> Obj:
    """Have the next renewal declined: the subscription is past due, and is tried again for days."""
    subscription = subscriber.subscription()
    card = subscriber.card("pm_card_chargeCustomerFail")
    subscriber.call("POST", f"/v1/subscriptions/{subscription['id']}", {"default_payment_method": card})
    await subscriber.pass_time(_period_end(subscription) + _CHARGED_AFTER)
    return subscription


async def trial_ends(subscriber: Subscriber) -> Obj:
    """Begin a trial that ends in three days, which Stripe tells by an event three days before."""
    subscriber.card()
    return subscriber.subscribe(subscriber.prices()[-1], trial_end=subscriber.now + 3 * DAY)


async def card_expires(subscriber: Subscriber) -> Obj:
    """Let the card be good until the month before the renewal, which is then declined as expired."""
    subscription = subscriber.subscription()
    card = subscriber.method(subscriber.card())
    subscriber.call("POST", f"/v1/subscriptions/{subscription['id']}", {"default_payment_method": card["id"]})
    renewal = datetime.fromtimestamp(_period_end(subscription), UTC)
    last = renewal.replace(day=1) - timedelta(days=1)
    ends = {"exp_month": last.month, "exp_year": last.year}
    expired = cards.by_token("pm_card_chargeDeclinedExpiredCard")
    behaviour = asdict(expired.behaviour) | {"refused": False} if expired else {}
    subscriber.store({**card, "card": {**card["card"], **ends}, "_behaviour": behaviour}, "payment_method.updated")
    await subscriber.pass_time(_period_end(subscription) + _CHARGED_AFTER)
    return subscription


async def dispute(subscriber: Subscriber) -> Obj:
    """Pay a new subscription by a card whose owner disputes the charge at once."""
    subscriber.card("pm_card_createDispute")
    return subscriber.subscribe(subscriber.prices()[-1])


async def downgrade_waits(subscriber: Subscriber) -> Obj:
    """Plan a change to a cheaper price for the end of the period; a schedule keeps it until then."""
    subscription = subscriber.subscription()
    schedule = subscriber.call("POST", "/v1/subscription_schedules", {"from_subscription": subscription["id"]})
    present = schedule["phases"][0]
    items = [{"price": item["price"], "quantity": item.get("quantity", 1)} for item in present["items"]]
    now = {"items": items, "start_date": present["start_date"], "end_date": present["end_date"]}
    cheaper = subscriber.cheaper_than(subscription["items"]["data"][0]["price"])
    then = {"items": [{"price": cheaper["id"]}], "duration": {"interval": "month", "interval_count": 1}}
    plan = {"phases": [now, then], "end_behavior": "release", "metadata": {"customer_may_change": "true"}}
    subscriber.call("POST", f"/v1/subscription_schedules/{schedule['id']}", plan)
    return subscription


def _period_end(subscription: Obj) -> int:
    return int(min(item["current_period_end"] for item in subscription["items"]["data"]))


SCENES = {
    "renewal_fails": Scene(
        "A renewal fails", "The time moves to the renewal, whose charge is declined.", renewal_fails
    ),
    "trial_ends": Scene("A trial ends in three days", "A new trial; the time does not move.", trial_ends),
    "card_expires": Scene("A card expires", "The time moves to the renewal, declined as expired.", card_expires),
    "dispute": Scene("A dispute", "The charge of a new subscription is disputed.", dispute),
    "downgrade_waits": Scene("A downgrade waits", "A cheaper plan from the next period on.", downgrade_waits),
}


async def play(sandbox: Sandbox, name: str, base_url: str, customer: str | None = None) -> Obj:
    """Play a scene; returns the ids of the customer and the subscription, and the time.

    Args:
        sandbox: The account.
        name: One of `SCENES`.
        base_url: Where the account's pages are.
        customer: Whom it is about; None is somebody new.

    Raises:
        StripeError: There is no such scene or customer, or a request of the scene is refused.
    """
    scene = SCENES.get(name)
    if scene is None:
        raise StripeError(f"There is no scene {name!r}; there are {', '.join(SCENES)}.", status=404)
    subscriber = Subscriber(sandbox, base_url, customer)
    subscription = await scene.play(subscriber)
    ids = {"customer": subscriber.customer["id"], "subscription": subscription["id"]}
    return {"scene": name, **ids, "now": sandbox.now()}
