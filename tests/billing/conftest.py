"""A database without a gateway before it, and a Stripe that answers what a test has written down."""

import pytest

from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.mirror.sync import Mirror
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe
from harness.rows import put
from harness.scripted_stripe import scripted_stripe


@pytest.fixture
async def database(database_url):
    """Migrated and empty, on SQLite unless parametrised; changes of access are told."""
    database = Database(database_url, endpoints=("https://shop.example/hooks",), on_commit=Notifications())
    yield database
    await database.close()


@pytest.fixture
def fill(database):
    """Writes rows."""

    async def write(*rows) -> None:
        await database.transaction(lambda connection: put(connection, *rows))

    return write


@pytest.fixture
def mirror(database) -> Mirror:
    """The copy of Stripe, without effects."""
    return Mirror(database, ())


@pytest.fixture
def scripted():
    """What Stripe answers, and what it was asked."""
    with scripted_stripe() as scripted:
        yield scripted


@pytest.fixture
async def stripe(scripted):
    """The client that asks it."""
    stripe = Stripe(Settings.load(stripe_secret_key="sk_test_tests", stripe_api_base=scripted.url))
    yield stripe
    await stripe.close()
