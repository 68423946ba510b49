"""What users look at, and what it is held against: their access, and the checkouts that they come back from."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.db.rows import row_by_id
from gateway.models.mirrored import CheckoutSession, Subscription
from harness.simulation.process import Process
from harness.simulation.shop import FEATURE

if TYPE_CHECKING:
    from harness.simulation.buyers import Buyer

HEARD_SECONDS = 0.05
"""How old a decision on access may be, beside what is committed."""
READ_SECONDS = 1.2
"""After which Stripe is asked again for a checkout: about once a second."""
COMES_BACK = 0.3
"""How often somebody looks at a checkout once more, who has watched it being paid."""
PAUSES = (0.3, 0.3, 1.5)
"""How long it is at most between two looks of one kind of watcher."""
AFTER = 1.5
"""How long after all else is done somebody may look."""


class Lost(AssertionError):
    """Something that is promised does not hold."""


async def look_back(buyer: "Buyer") -> None:
    """Come back from a paid checkout: it is seen as paid, whether or not an event has come."""
    session = await buyer.open(buyer.world.dice.choice(["pack", "month", "tried"]))
    if session is None or session.status != "open":
        return
    buyer.pay(session.id)
    await asyncio.sleep(buyer.world.dice.choice([0.0, buyer.world.dice.uniform(0, 0.06)]))
    await _look_at(buyer, session.id, is_read=True)


async def watch_checkout(buyer: "Buyer") -> None:
    """Look at a checkout again and again while it is being paid, as the page does that waits for it, or two of them.

    Mostly nobody looks any more after that, which would read it anew.
    """
    session = await buyer.open(buyer.world.dice.choice(["pack", "month", "tried"]))
    if session is None or session.status != "open":
        return

    async def watch() -> None:
        seen: list[str] = []
        for _ in range(buyer.world.dice.randint(2, 5)):
            seen.extend(filter(None, [await _look_at(buyer, session.id)]))
            await asyncio.sleep(buyer.world.dice.uniform(0, 0.3))
        if seen != sorted(seen, key="open".__ne__):
            raise Lost(f"a checkout was answered as {seen}, one after the other")

    async def pay() -> None:
        await asyncio.sleep(buyer.world.dice.uniform(0, 0.4))
        buyer.pay(session.id)

    await asyncio.gather(pay(), *(watch() for _ in range(buyer.world.dice.randint(1, 2))))
    if buyer.world.dice.random() < COMES_BACK:
        await asyncio.sleep(READ_SECONDS)
        await _look_at(buyer, session.id, is_read=True)


async def _look_at(buyer: "Buyer", id: str, *, is_read: bool = False) -> str | None:
    """Look at a checkout; what it was answered as.

    Args:
        buyer: whose.
        id: of the checkout.
        is_read: whether Stripe is asked because nobody has looked for a second, so that it is answered as it is.
    """
    truth = buyer.world.stripe.call("GET", f"/v1/checkout/sessions/{id}")["status"]
    found = await buyer.ask("looks at a checkout", partial(_look_back, id=id))
    if found is None:
        return None
    seen, subscription = found
    if not buyer.world.is_quiet:
        return str(seen.status)
    if is_read and seen.status == "open" != truth:
        raise Lost(f"a checkout that is {truth} was answered as {seen.status}")
    if (
        seen.status == "complete"
        and seen.subscription_id
        and (subscription is None or subscription.status == "incomplete")
    ):
        raise Lost("a checkout was answered as complete, and its subscription as not begun")
    return str(seen.status)


async def look(buyer: "Buyer") -> None:
    """Ask whether the user may work, and hold the answer against what is committed."""
    began = asyncio.get_running_loop().time()
    asked: list[Process] = []

    async def work(it: Process) -> Any:
        asked.append(it)
        return it.access.recall(buyer.name, FEATURE) or await it.access.grant(buyer.name, FEATURE)

    found = await buyer.ask("looks", work)
    if found is None or not asked[-1].host.alive or asked[-1].host.skew:
        return
    if max(buyer.world.committed_at, buyer.world.changed_time_at) >= began - HEARD_SECONDS:
        return
    truth = await buyer.world.truth(buyer.name)  # which may find the user's customer, and write that down
    if truth is not None and found.access.allowed != truth.access.allowed:
        raise Lost(f"access was {found.access.allowed}, and {truth.access.allowed} is committed for 50 ms and more")


async def look_often(buyer: "Buyer") -> None:
    """Ask again and again, as a proxy in front of the application does."""
    for _ in range(buyer.world.dice.randint(2, 6)):
        await look(buyer)
        await asyncio.sleep(buyer.world.dice.uniform(0, 0.2))


async def watch(buyer: "Buyer") -> None:
    """Ask all the time, beside whatever else is done, and once more a moment later."""
    dice = buyer.world.dice
    pause = dice.choice(PAUSES)
    while buyer.world.is_acting:
        await look(buyer)
        await asyncio.sleep(dice.uniform(0, pause))
    await asyncio.sleep(dice.uniform(0, AFTER))
    await look(buyer)


async def _look_back(it: Process, id: str) -> tuple[CheckoutSession, Subscription | None]:
    """Return a checkout as who comes back sees it, and its subscription."""
    seen = await it.services.checkout.session(id)
    if seen is None:
        raise Lost(f"the checkout {id} is unknown to who comes back from it")
    subscription_id = seen.subscription_id or ""
    found = await it.runtime.database.read(lambda connection: row_by_id(connection, Subscription, subscription_id))
    return seen, found
