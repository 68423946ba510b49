"""What buyers, the application's back end and the seller do in a history."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from gateway.auth.principal import Principal
from gateway.billing.checkout.request import CheckoutRequest, Line
from gateway.billing.credits.service import Spend, spend
from gateway.billing.metering.usage import Report, report
from gateway.billing.subscriptions.change_request import PlanChange
from gateway.billing.subscriptions.ending import Cancellation
from gateway.billing.user_errors import Rejected
from gateway.errors import GatewayError
from gateway.models.mirrored import CheckoutSession
from harness.money_shop import OCCUPYING, PLANS, SOLD
from harness.simulation.looking import Lost, look, look_back, look_often, watch_checkout
from harness.simulation.process import Process
from harness.simulation.seller import Seller
from harness.simulation.world import World

BACK = "https://shop.example/thanks"

BUYS_MORE = 0.2
"""How often who has bought before buys something first."""
STRANGE = 0.2
"""How often somebody buys first as a guest, or by a payment link."""
AT_ONCE = 0.5
"""How often a buyer begins something else before one thing has ended, as in another tab."""
KINDS = 3
"""How many kinds of steps a buyer takes in one history."""


class Buyer:
    """One user of the application.

    Args:
        world: where he is.
        name: of him.
        first: after which number his idempotency keys begin.

    Attributes:
        spends: how much was asked for, by key.
        spent: how much was given, by key, where that is known.
        refused: the keys whose spend was refused; asked again it may be given.
        used: the usage that was to be reported, by identifier.
        reported: what of it was written down.
    """

    def __init__(self, world: World, name: str, first: int = 0) -> None:
        self.world, self.name = world, name
        self._seller = Seller(world)
        self.principal = Principal(subject=name, email=f"{name}@example.com", email_verified=True)
        self.spends: dict[str, int] = {}
        self.spent: dict[str, int] = {}
        self.refused: set[str] = set()
        self.used: dict[str, Report] = {}
        self.reported: dict[str, int] = {}
        self._asked = first
        self._has_linked = False

    def customer(self) -> str | None:
        """Return the user's customer at Stripe; the oldest while one that was made beside it is not deleted yet."""
        found = [each["id"] for each in self.world.stripe.stored("customer") if self._is_mine(each)]
        if len(found) > 1 and not self.world.is_acting:
            raise Lost(f"{self.name} has {len(found)} customers at Stripe")
        return found[-1] if found else None

    def _is_mine(self, customer: dict[str, Any]) -> bool:
        return bool(customer["metadata"].get("external_id") == self.name)

    def live(self) -> list[dict[str, Any]]:
        """Return the subscriptions at Stripe that occupy their group."""
        customer = self.customer()
        found = self.world.stripe.stored("subscription", customer=customer) if customer else []
        return [self.world.stripe.sandbox.present(each) for each in found if each["status"] in OCCUPYING]

    def _key(self, verb: str) -> str:
        self._asked += 1
        return f"{self.name}-{verb}-{self._asked}"

    async def ask(self, what: str, work: Callable[[Process], Awaitable[Any]]) -> Any:
        """Ask for something that may be refused."""
        try:
            return await self.world.ask(f"{self.name} {what}", work)
        except GatewayError:
            return None

    # Steps -----------------------------------------------------------------------------------------------------

    async def open(self, *names: str, key: str | None = None) -> CheckoutSession | None:
        """Open a checkout."""
        request = CheckoutRequest(
            tuple(Line(price_id=self.world.shop.ids[name]) for name in names),
            success_url=BACK,
            idempotency_key=key or self._key("checkout"),
        )
        found: CheckoutSession | None = await self.ask(
            f"opens {'+'.join(names)}", lambda it: it.services.checkout.create(self.principal, request)
        )
        return found

    async def buy(self, *names: str) -> None:
        """Buy as people do: they open, look, and pay."""
        session = await self.open(*names)
        if session is not None and session.status == "open":
            await asyncio.sleep(self.world.dice.uniform(0, 0.3))
            self.pay(session.id)

    def pay(self, session_id: str) -> None:
        """Fill in the hosted page, mostly with a card that is good."""
        outcome = self.world.stripe.pay(session_id, good=self.world.dice.random() < 0.9)
        self.world.tell(f"{self.name} pays: {outcome}")

    async def buy_anything(self) -> None:
        """Buy one thing."""
        await self.buy(
            *self.world.dice.choice([("month",), ("pro",), ("pack",), ("month", "pack"), ("month", "calls")])
        )

    async def buy_in_two_tabs(self) -> None:
        """Buy two plans at once."""
        await asyncio.gather(*(self.buy(name) for name in self.world.dice.sample(PLANS[:3], 2)))

    async def press_twice(self) -> None:
        """Ask for one checkout twice at once, under one key."""
        key = self._key("twice")
        first, second = await asyncio.gather(self.open("month", key=key), self.open("month", key=key))
        if first and second and first.id != second.id:
            raise Lost(f"one key gave two checkouts: {first.id} and {second.id}")
        if first and first.status == "open":
            self.pay(first.id)

    async def close(self) -> None:
        """Close a checkout while it is being paid."""
        if (session := await self.open("month")) and session.status == "open":
            closing = asyncio.ensure_future(self.ask("closes", lambda it: it.services.checkout.expire(session.id)))
            await asyncio.sleep(self.world.dice.uniform(0, 0.1))
            self.pay(session.id)
            closed = await closing
            truth = self.world.stripe.call("GET", f"/v1/checkout/sessions/{session.id}")["status"]
            if closed is not None and truth != "expired":
                raise Lost(f"the checkout {session.id} was closed, and was paid")

    async def change_group_while_buying(self) -> None:
        """Change what is of another group into a plan, and buy a plan meanwhile."""
        await self.buy("tried")
        await asyncio.sleep(0.1)  # its event comes
        await asyncio.gather(self.buy("month"), self._change("pro", "tried"))

    async def buy_as_guest(self) -> None:
        """Buy before signing in, under the address that is verified later."""
        request = CheckoutRequest((Line(price_id=self.world.shop.ids["pack"]),), success_url=BACK)
        guest = Principal()
        session = await self.ask("opens as a guest", lambda it: it.services.checkout.create(guest, request))
        if session is not None:
            outcome = self.world.stripe.pay(session.id, email=self.principal.email)
            self.world.tell(f"{self.name} pays as a guest: {outcome}")

    async def buy_by_link(self) -> None:
        """Buy past the gateway, by a payment link that names the user, who has no customer yet."""
        if self.customer() is None and not self._has_linked:
            self._has_linked = True
            session = self.world.stripe.open_link(self.world.shop.ids["extra"], self.name)
            await asyncio.sleep(self.world.dice.uniform(0, 0.5))
            outcome = self.world.stripe.pay(session, email=self.principal.email)
            self.world.tell(f"{self.name} pays by a link: {outcome}")

    async def open_portal(self) -> None:
        """Open the portal and a checkout at once."""
        portal = self.ask("opens the portal", lambda it: it.services.customers.customer_for(self.principal))
        await asyncio.gather(portal, self.buy_anything())

    async def change(self) -> None:
        """Change to another plan."""
        await self._change(self.world.dice.choice(PLANS[:3]))

    async def change_twice(self) -> None:
        """Change in two tabs."""
        await asyncio.gather(*(self._change(name) for name in self.world.dice.sample(PLANS[:3], 2)))

    async def _change(self, name: str, from_: str | None = None) -> None:
        of = self.world.shop.ids.get(from_ or "")
        items = ((each, [item["price"]["id"] for item in each["items"]["data"]]) for each in self.live())
        for subscription in [each for each, prices in items if of is None or of in prices][:1]:
            wanted = PlanChange(price_id=self.world.shop.ids[name])
            await self._manage(f"changes to {name}", "change", subscription["id"], wanted, self._key("change"))

    async def cancel(self) -> None:
        """End a subscription, at once or with its period."""
        how = Cancellation(now=self.world.dice.random() < 0.6)
        for subscription in self.live()[:1]:
            await self._manage("cancels", "cancel", subscription["id"], how, self._key("cancel"))

    async def resume(self) -> None:
        """Undo a planned end."""
        for subscription in self.live()[:1]:
            await self._manage("resumes", "resume", subscription["id"], self._key("resume"))

    async def _manage(self, what: str, verb: str, *given: Any) -> None:
        """Call one of the use cases about a subscription."""
        services = "subscriptions" if verb == "change" else "endings"
        await self.ask(what, lambda it: getattr(getattr(it.services, services), verb)(self.principal, *given))

    async def spend(self) -> None:
        """Spend credits once, twice under one key, or twice under two."""
        amount = self.world.dice.choice([1, 40, 500, 1000])
        keys = [self._key("spend")]
        keys += self.world.dice.choice([[], [], keys, [self._key("spend")]])
        await asyncio.gather(*(self._spend(key, amount) for key in keys))

    async def _spend(self, key: str, amount: int) -> None:
        self.spends[key] = amount
        wanted = Spend(self.name, amount, key)
        try:
            entry = await self.world.ask(f"{self.name} spends {amount}", lambda it: spend(it.runtime.database, wanted))
        except Rejected:
            self.refused.add(key)
            return
        except GatewayError:
            return
        if entry is not None:
            self.spent[key] = amount
            if entry.balance < 0:
                raise Lost(f"a spend left {entry.balance} credits")

    async def check_served(self, process: Process) -> None:
        """Check that the user can buy: nothing that went wrong stands in the way for ever.

        Raises:
            Lost: the gateway fails.
        """
        request = CheckoutRequest((Line(price_id=self.world.shop.ids["pack"]),), success_url=BACK)
        for last in (False, True):  # who is told to try again does
            try:
                await process.ask(lambda it: it.services.checkout.create(self.principal, request))
            except Rejected:
                return
            except GatewayError as error:
                if last or "try again" not in str(error):
                    raise Lost(f"{self.name} cannot buy any more: {type(error).__name__} {error}") from error

    async def settle(self, process: Process) -> None:
        """Ask once more for the spends and reports of which nobody knows what became."""
        for key in [each for each in self.used if each not in self.reported]:
            with suppress(GatewayError):  # who is no customer has nothing counted
                await process.ask(lambda it, usage=self.used[key]: report(it.runtime.database, usage))  # type: ignore[misc]
                self.reported[key] = self.used[key].value
        for key in [each for each in self.spends if each not in self.spent]:
            wanted = Spend(self.name, self.spends[key], key)
            with suppress(Rejected):
                await process.ask(lambda it, wanted=wanted: spend(it.runtime.database, wanted))  # type: ignore[misc]
                self.spent[key] = self.spends[key]

    async def use(self) -> None:
        """Report usage, some of it twice."""
        identifier, value = self._key("use"), self.world.dice.randint(1, 9)
        usage = self.used[identifier] = Report(self.name, SOLD["calls"]["meter"], value, identifier)
        for _ in range(self.world.dice.choice([1, 1, 2])):
            if await self.ask(f"uses {value}", lambda it: report(it.runtime.database, usage)) is not None:
                self.reported[identifier] = value

    async def seller_refunds(self) -> None:
        """Have a payment back."""
        self._seller.refund(self)

    async def seller_cancels(self) -> None:
        """Have a subscription ended by the seller, a moment later."""
        await asyncio.sleep(1.1)  # Stripe's clock has whole seconds
        self._seller.cancel(self)

    async def seller_edits(self) -> None:
        """Have a subscription and the customer edited by the seller, a moment later."""
        await asyncio.sleep(self.world.dice.uniform(0, 1.1))
        self._seller.edit(self)

    async def seller_sells(self) -> None:
        """Have something sold by the seller that is new."""
        self._seller.sell(self)

    async def deploy(self) -> None:
        """Have the processes replaced, one after the other, some just after they have begun."""
        for _ in range(self.world.dice.randint(1, 3)):
            await self.world.deploy()
            await asyncio.sleep(self.world.dice.choice([0.003, 0.003, 0.02, 0.1]) * self.world.dice.random())

    async def wait(self) -> None:
        """Do nothing for a while."""
        await asyncio.sleep(self.world.dice.uniform(0, 1))

    async def time_passes(self) -> None:
        """Let the seller's time pass: an hour, or to the next period."""
        if self.world.may_pass_time():
            await self.world.pass_time(self.world.dice.choice([3_600, 86_400 * 20, 86_400 * 32]))

    def steps(self) -> dict[Callable[[], Awaitable[None]], int]:
        """Return what the buyer may do, and how often he does."""
        return {
            self.buy_anything: 6,
            self.buy_in_two_tabs: 5,
            self.press_twice: 2,
            self.close: 1,
            partial(look_back, self): 3,
            partial(watch_checkout, self): 5,
            self.buy_by_link: 3,
            self.change_group_while_buying: 4,
            self.open_portal: 2,
            self.change: 4,
            self.change_twice: 2,
            self.cancel: 4,
            self.resume: 1,
            self.spend: 4,
            self.use: 6,
            partial(look, self): 2,
            partial(look_often, self): 4,
            self.seller_refunds: 2,
            self.seller_cancels: 3,
            self.seller_edits: 2,
            self.seller_sells: 1,
            self.deploy: 3,
            self.wait: 2,
            self.time_passes: 2,
        }


async def act(buyer: Buyer, steps: int) -> None:
    """Have a buyer do some things, of the many that there are only a few, and these again; some of them at once."""
    dice, choices = buyer.world.dice, buyer.steps()
    few = dict.fromkeys(dice.choices(list(choices), list(choices.values()), k=KINDS))
    wanted: list[Callable[[], Awaitable[None]]] = []
    if dice.random() < STRANGE:
        wanted.append(dice.choice([buyer.buy_as_guest, buyer.buy_by_link]))
    if dice.random() < (BUYS_MORE if buyer.customer() else 0.8):
        wanted.append(buyer.buy_anything)
    wanted += dice.choices(list(few), [choices[each] for each in few], k=steps)
    begun: list[asyncio.Future[None]] = []
    for step in wanted:
        begun.append(asyncio.ensure_future(step()))
        if dice.random() < AT_ONCE:
            await asyncio.sleep(dice.uniform(0, 0.1))
        else:
            await begun[-1]
            await asyncio.sleep(dice.uniform(0, 0.2))
    await asyncio.gather(*begun)
