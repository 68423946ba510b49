"""The services of Ada's subscription, which ask a scripted Stripe."""

import pytest

from gateway.billing.catalog.service import Catalog
from gateway.billing.metering.forwarder import UsageForwarder
from gateway.billing.subscriptions.ending import EndingService
from gateway.billing.subscriptions.service import SubscriptionService
from gateway.settings import Settings
from harness.rows import customer, item, price, product, subscription
from harness.stripe_objects import bill


@pytest.fixture
async def service(database, mirror, stripe, fill, scripted):
    """Ada has a plan; makes the service, which notes whose open checkouts it has closed."""
    of_month = price("month", "pro", trial_period_days=30)
    await fill(product("pro"), of_month, price("year", "pro", 9000, interval="year"))
    await fill(product("disks", meta={"group": "disks"}), price("disk", "disks", 300))
    await fill(customer(external_id="ada"), subscription(), item("si_1", "month", "pro"))
    await fill(customer("cus_2", "bob"), subscription("sub_2", customer_id="cus_2"))
    scripted.answer("GET", "/v1/invoices/in_1", bill("year"))

    def make(**settings) -> SubscriptionService:
        chosen = Settings.load(stripe_secret_key="sk_test_tests", stripe_api_base=scripted.url, **settings)
        send_usage = UsageForwarder(database, stripe).flush
        catalog = Catalog(chosen, database)
        made = SubscriptionService(chosen, mirror, stripe, catalog, close_checkouts=close, send_usage=send_usage)
        made.closed = closed
        made.endings = EndingService(chosen, mirror, stripe, catalog, close_checkouts=close, send_usage=send_usage)
        return made

    closed: list[str] = []

    async def close(external_id: str) -> None:
        closed.append(external_id)

    return make
