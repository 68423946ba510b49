"""A customer with a card on a test clock of the offline Stripe, and what it can subscribe to."""

import pytest

from harness.clocked import START, give_card
from harness.waiting import eventually


@pytest.fixture
def client(sandbox_factory):
    """The SDK on a sandbox whose own clock begins where the test clocks do."""
    return sandbox_factory(clock=START).client()


@pytest.fixture
def clock(client):
    return client.v1.test_helpers.test_clocks.create({"frozen_time": START})


@pytest.fixture
def at(client, clock):
    """Moves the test clock to a time and waits until everything due on the way has happened."""

    def move(moment):
        client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": moment})
        eventually(lambda: client.v1.test_helpers.test_clocks.retrieve(clock.id).status, "ready", seconds=20)

    return move


@pytest.fixture
def product(client):
    return client.v1.products.create({"name": "Team"})


@pytest.fixture
def price(client, product):
    """Makes a monthly price in US dollars, or what is asked for."""

    def make(unit_amount=1000, interval="month", **params):
        amount = {} if "tiers" in params else {"unit_amount": unit_amount}
        recurring = {"interval": interval, **params.pop("recurring", {})}
        return client.v1.prices.create(
            {"product": product.id, "currency": "usd", "recurring": recurring, **amount, **params}
        ).id

    return make


@pytest.fixture
def customer(client, clock):
    """A customer on the test clock, with a card that pays."""
    made = client.v1.customers.create({"email": "ada@example.com", "test_clock": clock.id})
    give_card(client, made.id, "pm_card_visa")
    return made


@pytest.fixture
def subscribe(client, customer):
    def start(*prices, **params):
        items = [each if isinstance(each, dict) else {"price": each} for each in prices]
        return client.v1.subscriptions.create({"customer": customer.id, "items": items, **params})

    return start
