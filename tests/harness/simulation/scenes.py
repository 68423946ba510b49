"""What histories begin with: who has bought before needs not buy first, and the history is about what comes then."""

import asyncio
import functools
from collections.abc import Awaitable, Callable

from gateway.mirror.reader import Reader
from gateway.webhooks.catch_up import catch_up
from harness.simulation.buyers import Buyer
from harness.simulation.loop import simulated
from harness.simulation.shop import BEFORE, Shop, open_shop
from harness.simulation.world import World

SETTLED = 3.0
"""After how many seconds everything has come that comes of a purchase."""
READ = 900.0
"""When Stripe's list of events is read: so long after, that no history reads these again."""


@functools.cache
def open_scenes() -> Shop:
    """Open a shop, and have somebody buy there, once for each scene."""
    shop = open_shop()
    for place, (name, does) in enumerate(_SCENES.items(), start=1):
        seed = -place  # no history's, so that no id is another object's
        with simulated(seed, BEFORE + 5_400) as loop:
            world = World(shop, seed, shop.scenes[0])
            loop.run_until_complete(_play(world, does))
            shop.keep(name, world.stripe, world.taken)
            loop.run_until_complete(world.end())
    return shop


async def _play(world: World, does: Callable[[Buyer], Awaitable[None]]) -> None:
    world.start("a")
    await does(Buyer(world, "user_0", first=-100))
    await asyncio.sleep(SETTLED)
    await world.stop()
    await asyncio.sleep(READ)
    reader = world.start("reader", background=False)
    await reader.ask(lambda it: catch_up(it.inbox, Reader(it.runtime.require_stripe())))
    await world.stop()


async def _twice(buyer: Buyer) -> None:
    await buyer.buy("tried")
    await asyncio.sleep(SETTLED)
    await buyer.buy("month", "pack")


_SCENES: dict[str, Callable[[Buyer], Awaitable[None]]] = {
    "pack": lambda buyer: buyer.buy("pack"),
    "tried": lambda buyer: buyer.buy("tried"),
    "month": lambda buyer: buyer.buy("month", "pack"),
    "calls": lambda buyer: buyer.buy("month", "calls"),
    "two": _twice,
}
