"""What the simulated shop sells, and the templates that each history begins with: a catalogue and its mirror."""

import asyncio
import atexit
import functools
import random
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

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
from harness.simulation.loop import Host, simulated
from harness.simulation.process import Process
from harness.simulation.stripe import SimulatedStripe
from harness.simulation.wire import SHOP, STRIPE

HOOKS = f"http://{SHOP}/hooks"
FEATURE = "work"
OFTEN_MINUTES = 0.01


@dataclass(frozen=True)
class Shop:
    """A catalogue, and where its templates are.

    Attributes:
        folder: where the database of the present history is.
        settings: of every gateway; by whether it tells the application, and whether it often reads Stripe's list of
            events.
        ids: the prices by name.
        prices: what each sells, by id, in the words of the money game's model.
    """

    folder: Path
    settings: dict[tuple[bool, bool], Settings]
    ids: dict[str, str]
    prices: dict[str, dict[str, Any]]
    _held: list[sqlite3.Connection] = field(default_factory=list)

    @property
    def database(self) -> Path:
        """The database of the present history."""
        return self.folder / "gateway.db"

    @functools.cached_property
    def engine(self) -> sa.Engine:
        """What whoever judges it reads it by."""
        return sa.create_engine(f"sqlite:///{self.database}", poolclass=sa.NullPool)

    @property
    def catalog(self) -> Path:
        """What the offline Stripe begins with."""
        return self.folder / "catalog.json"

    def renew(self) -> None:
        """Begin with the templates again.

        The file is held open all the time: of several connections the last one that is closed brings the log into it,
        which takes longer than what most processes do.
        """
        for end in ("", "-wal", "-shm"):
            self.database.with_name(f"gateway.db{end}").unlink(missing_ok=True)
        shutil.copy(self.folder / "template.db", self.database)
        if self._held:
            self._held.pop().close()
        self._held.append(sqlite3.connect(self.database))
        self._held[0].execute("PRAGMA journal_mode = WAL")


@functools.cache
def open_shop() -> Shop:
    """Make a catalogue and its mirror once, by the offline Stripe and the gateway themselves."""
    memory = Path("/dev/shm")  # noqa: S108 - a disk would be waited for
    folder = Path(tempfile.mkdtemp(prefix="gateway-simulation-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    template = folder / "template.db"
    migrate(f"sqlite:///{template}")
    shutil.copy(template, folder / "gateway.db")
    settings = {
        tells: Settings.load(
            stripe_secret_key="sk_test_tests",
            stripe_api_base=f"http://{STRIPE}:9",
            stripe_webhook_secrets=SECRET,
            database_url=f"sqlite:///{folder}/gateway.db",
            redirect_origins="https://shop.example",
            outbound_endpoints=f"{HOOKS} {NEW}" if tells else "",
            event_catch_up_minutes=1,
            stripe_timeout=3.0,  # each call that is never answered lasts so long, with all that runs beside it
        )
        for tells in (True, False)
    }
    often = {"event_catch_up_minutes": OFTEN_MINUTES}  # a setting has whole minutes
    every = {(tells, False): each for tells, each in settings.items()}
    every |= {(tells, True): each.model_copy(update=often) for tells, each in settings.items()}
    with simulated(0) as loop:
        stripe = SimulatedStripe(0, None)
        ids, prices = _stock(stripe)
        (folder / "catalog.json").write_bytes(orjson.dumps(fixtures.export(stripe.sandbox)))
        loop.run_until_complete(_fill(settings[True], stripe))
    shutil.copy(folder / "gateway.db", template)
    return Shop(folder, every, ids, prices)


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


async def _fill(settings: Settings, stripe: SimulatedStripe) -> None:
    """Fill the mirror, as `gateway sync` does."""
    crossings = Crossings(Host("sync"), random.Random(0), Troubles())
    process = Process(settings, crossings, {STRIPE: stripe.serve})

    async def sync(it: Process) -> None:
        async for _ in backfill(it.runtime.mirror, it.runtime.require_stripe()):
            pass
        await catch_up(it.inbox, Reader(it.runtime.require_stripe()))

    await process.ask(sync)
    await process.stop()
    await asyncio.sleep(0)
