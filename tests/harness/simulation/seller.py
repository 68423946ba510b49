"""What the seller does at Stripe's dashboard, past the gateway, while the buyers go on."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway.sandbox.core.errors import StripeError
from harness.simulation.shop import FEATURE

if TYPE_CHECKING:
    from harness.simulation.buyers import Buyer
    from harness.simulation.world import World

BY_HAND = {"amount": 800, "credits": 800, "interval": "month"}


class Seller:
    """One seller.

    Args:
        world: where the shop is.
    """

    def __init__(self, world: "World") -> None:
        self._world = world

    async def act(self, buyers: "list[Buyer]", steps: int, is_over: Callable[[], bool]) -> None:
        """Do some things with who has paid, at any moment.

        Args:
            buyers: who may have.
            steps: how many things.
            is_over: whether nobody buys any more.
        """
        dice = self._world.dice
        for _ in range(steps):
            while not (paid := [each for each in buyers if self._of(each, "charge")]) and not is_over():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            if paid:
                await asyncio.sleep(dice.choice([0.0, dice.uniform(0, 0.1), dice.uniform(0, 1.5)]))
                dice.choice([self.refund, self.cancel, self.cancel, self.edit, self.edit, self.sell])(dice.choice(paid))

    def refund(self, buyer: "Buyer") -> None:
        """Give a payment back, all of it or a half."""
        charges = [each for each in self._of(buyer, "charge") if each["paid"] and not each["amount_refunded"]]
        if charges:
            amount = charges[0]["amount"] // self._world.dice.choice([1, 1, 2])
            self._call(f"refunds {amount} to {buyer.name}", "/v1/refunds", charge=charges[0]["id"], amount=amount)

    def cancel(self, buyer: "Buyer") -> None:
        """End a subscription at once."""
        for subscription in buyer.live()[:1]:
            self._call(f"ends what {buyer.name} has", f"/v1/subscriptions/{subscription['id']}", "DELETE")

    def edit(self, buyer: "Buyer") -> None:
        """Have a subscription end with its period, or go on; and write down another name of the customer."""
        for subscription in buyer.live()[:1]:
            ends = not subscription["cancel_at_period_end"]
            path = f"/v1/subscriptions/{subscription['id']}"
            self._call(f"lets what {buyer.name} has {'end' if ends else 'go on'}", path, cancel_at_period_end=ends)
        if customer := buyer.customer():
            name = self._world.dice.choice(["Ada", "Bob"])
            self._call(f"calls {buyer.name} {name}", f"/v1/customers/{customer}", name=name)

    def sell(self, buyer: "Buyer") -> None:
        """Make something new, and sell it to who has paid with a card before."""
        cards = self._of(buyer, "payment_method")
        if not cards:
            return
        stripe, name = self._world.stripe, f"by hand {len(self._world.prices)}"
        meta = {"features": FEATURE, "addon": "true"}
        product = stripe.call("POST", "/v1/products", name=name, metadata=meta)
        given = {"unit_amount": BY_HAND["amount"], "metadata": {"credits": str(BY_HAND["credits"])}}
        given |= {"currency": "usd", "recurring": {"interval": BY_HAND["interval"]}}
        price = stripe.call("POST", "/v1/prices", product=product["id"], **given)
        self._world.prices[price["id"]] = {"product": name, **BY_HAND}
        bought = {"customer": buyer.customer(), "items": [{"price": price["id"]}]}
        paid = {"default_payment_method": cards[0]["id"]}
        self._call(f"sells {name} to {buyer.name}", "/v1/subscriptions", **bought, **paid)

    def _of(self, buyer: "Buyer", kind: str) -> list[dict[str, Any]]:
        customer = buyer.customer()
        return self._world.stripe.stored(kind, customer=customer) if customer else []

    def _call(self, what: str, path: str, method: str = "POST", **params: Any) -> None:
        try:
            self._world.stripe.call(method, path, **params)
        except StripeError as error:
            what = f"{what}, in vain: {error.message}"
        self._world.tell(f"the seller {what}")
