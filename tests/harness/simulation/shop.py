"""What the simulated shop sells, and the templates that each history begins with: a catalogue and its mirror."""

import asyncio
import atexit
import functools
import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.mirror.backfill import backfill
from gateway.mirror.reader import Reader
from gateway.sandbox import fixtures
from gateway.settings import Settings
from gateway.webhooks.catch_up import catch_up
from harness.application import NEW
from harness.gateway import SECRET, migrate
from harness.money_shop import METADATA, SOLD
from harness.simulation.chance import Troubles
from harness.simulation.crossings import Crossings
from harness.simulation.database import MEMORY, MemoryDatabase
from harness.simulation.loop import EPOCH, Host, simulated
from harness.simulation.process import Process
from harness.simulation.stripe import SimulatedStripe
from harness.simulation.wire import SHOP, STRIPE

HOOKS = f"http://{SHOP}/hooks"
FEATURE = "work"
OFTEN_MINUTES = 0.01
BEFORE = EPOCH - 7_200
"""When the shop was opened."""


@dataclass(frozen=True)
class Scene:
    """What there is when a history begins.

    Attributes:
        name: under which the database is kept.
        objects: the offline Stripe's, in a file.
        taken: the messages that the application has got.
    """

    name: str
    objects: Path
    taken: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Shop:
    """A catalogue, and where its templates are.

    Attributes:
        database: of the present history.
        folder: where the objects of the offline Stripe are kept.
        settings: of every gateway; by whether it tells the application, and whether it often reads Stripe's list of
            events.
        ids: the prices by name.
        prices: what each sells, by id, in the words of the money game's model.
        scenes: what a history may begin with.
    """

    database: MemoryDatabase
    folder: Path
    settings: dict[tuple[bool, bool], Settings]
    ids: dict[str, str]
    prices: dict[str, dict[str, Any]]
    scenes: list[Scene]

    def keep(self, name: str, stripe: SimulatedStripe, taken: dict[str, dict[str, Any]]) -> None:
        """Keep what there is now, as the scene of a name."""
        self.database.keep(name)
        objects = self.folder / f"{name}.json"
        objects.write_bytes(orjson.dumps(fixtures.export(stripe.sandbox)))
        self.scenes.append(Scene(name, objects, taken))


@functools.cache
def open_shop() -> Shop:
    """Make a catalogue and its mirror once, by the offline Stripe and the gateway themselves."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-simulation-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    migrate(f"sqlite:///{folder}/empty.db")
    database = MemoryDatabase(folder / "empty.db")
    settings = {
        tells: Settings.load(
            stripe_secret_key="sk_test_tests",
            stripe_api_base=f"http://{STRIPE}:9",
            stripe_webhook_secrets=SECRET,
            database_url=MEMORY,
            redirect_origins="https://shop.example",
            outbound_endpoints=f"{HOOKS} {NEW}" if tells else "",
            event_catch_up_minutes=1,
            trust_payment_link_references=True,
            stripe_timeout=3.0,  # each call that is never answered lasts so long, with all that runs beside it
        )
        for tells in (True, False)
    }
    often = {"event_catch_up_minutes": OFTEN_MINUTES}  # a setting has whole minutes
    every = {(tells, False): each for tells, each in settings.items()}
    every |= {(tells, True): each.model_copy(update=often) for tells, each in settings.items()}
    with simulated(0, BEFORE) as loop:
        stripe = SimulatedStripe(0, None)
        ids, prices = _stock(stripe)
        loop.run_until_complete(_fill(settings[True], database, stripe))
    shop = Shop(database, folder, every, ids, prices, [])
    shop.keep("nobody", stripe, {})
    return shop


def _stock(stripe: SimulatedStripe) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Put everything on the shelves."""
    ids: dict[str, str] = {}
    products: dict[str, str] = {}
    prices: dict[str, dict[str, Any]] = {}
    for name, terms in SOLD.items():
        if terms["product"] not in products:
            meta = METADATA.get(terms["product"], {})
            meta = {**meta, "features": ",".join(filter(None, [FEATURE, meta.get("features")]))}
            made = stripe.call("POST", "/v1/products", name=terms["product"], metadata=meta)
            products[terms["product"]] = made["id"]
        recurring: dict[str, Any] = {"interval": terms["interval"]} if terms["interval"] else {}
        recurring |= {"trial_period_days": terms["trial"]} if "trial" in terms else {}
        if "meter" in terms:
            counted = {"event_name": terms["meter"], "default_aggregation": {"formula": "sum"}}
            meter = stripe.call("POST", "/v1/billing/meters", display_name="Calls", **counted)
            recurring |= {"usage_type": "metered", "meter": meter["id"]}
        given = {"currency": "usd", "unit_amount": terms["amount"], "metadata": {"credits": str(terms["credits"])}}
        given |= {"recurring": recurring} if recurring else {}
        price = stripe.call("POST", "/v1/prices", product=products[terms["product"]], **given)
        ids[name], prices[price["id"]] = price["id"], terms
    return ids, prices


async def _fill(settings: Settings, database: MemoryDatabase, stripe: SimulatedStripe) -> None:
    """Fill the mirror, as `gateway sync` does."""
    crossings = Crossings(Host("sync"), random.Random(0), Troubles())
    process = Process(settings, crossings, {STRIPE: stripe.serve}, database.engines)

    async def sync(it: Process) -> None:
        async for _ in backfill(it.runtime.mirror, it.runtime.require_stripe()):
            pass
        await catch_up(it.inbox, Reader(it.runtime.require_stripe()))

    await process.ask(sync)
    await process.stop()
    await asyncio.sleep(0)
