"""`gateway sync` and `gateway reconcile`."""

import asyncio
import re

import pytest

from gateway.errors import SettingsError
from gateway.mirror.reader import Reader
from gateway.operators.checks import run_checks
from gateway.runtime import open_runtime
from gateway.webhooks.catch_up import catch_up
from gateway.webhooks.inbox import Inbox
from harness.command import run
from harness.databases import both_databases
from harness.gateway import fill_mirror, make_world

NO_LONGER_TOLD = {
    "subscription": "status",
    "subscription_schedule": "status",
    "refund": "amount",
    "credit_note": "amount",
    "coupon": "name",
    "promotion_code": "code",
}


def past_of(world):
    """What happened at Stripe before there was an endpoint: of each kind what one column says."""
    world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"drop": 1})
    price = world.stripe("GET", "/v1/prices", **{"lookup_keys[]": "starter_monthly"})["data"][0]["id"]
    card = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}
    customer = world.stripe("POST", "/v1/customers", email="ada@example.com", **card)["id"]
    bought = world.stripe("POST", "/v1/subscriptions", customer=customer, **{"items[0][price]": price})
    world.stripe("DELETE", f"/v1/subscriptions/{bought['id']}")
    charge = world.stripe("GET", "/v1/charges", customer=customer)["data"][0]["id"]
    world.stripe("POST", "/v1/refunds", charge=charge, amount=100)
    world.stripe("POST", "/v1/credit_notes", invoice=bought["latest_invoice"], amount=50, credit_amount=50)
    phase = {"phases[0][items][0][price]": price, "start_date": world.sandbox.now() + 86_400}
    world.stripe("POST", "/v1/subscription_schedules", customer=customer, **phase)
    coupon = world.stripe("POST", "/v1/coupons", percent_off=50, duration="once", name="Half")["id"]
    about = {"promotion[type]": "coupon", "promotion[coupon]": coupon}
    world.stripe("POST", "/v1/promotion_codes", code="HALF", **about)
    values = ("canceled", "not_started", 100, 50, "Half", "HALF")
    return dict(zip(NO_LONGER_TOLD, values, strict=True))


@both_databases
def test_sync_fills_an_empty_mirror_and_prints_the_counts(tmp_path, database_url):
    with make_world(database_url, fill=False) as world:
        past = past_of(world)
        assert world.data("{ products { edges { node { id } } } }")["products"]["edges"] == []
        result = run("sync", cwd=tmp_path, **world.environment())
        assert result.returncode == 0, result.stdout
        at_stripe = world.stripe("GET", "/v1/products", limit=100)["data"]
        assert re.search(rf"product\s.*{len(at_stripe)}", result.stdout)
        world.eventually(lambda: bool(world.data("{ products { edges { node { id } } } }")["products"]["edges"]))
        copied = {kind: [row[column] for row in world.rows(kind)] for kind, column in NO_LONGER_TOLD.items()}
        assert all(value in copied[kind] for kind, value in past.items()), copied


async def test_another_accounts_key_reads_nothing_into_a_database(tmp_path, world):
    fault = "this database is a copy of acct_another in test mode, and STRIPE_SECRET_KEY is of acct_1Sandbox"
    world._execute("UPDATE stripe_account SET id = 'acct_another'")
    refused = run("sync", cwd=tmp_path, **world.environment())
    assert refused.returncode == 1
    assert fault in refused.stdout
    async with open_runtime(world.settings) as runtime:
        with pytest.raises(SettingsError, match=fault):
            await catch_up(Inbox.of(runtime), Reader(runtime.require_stripe()))
        (found,) = [each async for each in run_checks(runtime, thorough=False) if each.name == "Stripe account"]
    assert (found.status, found.finding.startswith(fault)) == ("failed", True)


def test_reconcile_exits_1_where_the_copy_differs_and_0_once_it_is_repaired(tmp_path, sqlite_url):
    with make_world(sqlite_url, fill=False, event_catch_up_minutes=0) as world:
        world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"drop": 1})
        world.client.post(f"{world.stripe_url}/_sandbox/clock/advance", json={"by": 3600})  # no event is news any more
        half = world.stripe("POST", "/v1/coupons", percent_off=50, duration="once")["id"]
        about = {"promotion[type]": "coupon", "promotion[coupon]": half, "max_redemptions": 1}
        code = world.stripe("POST", "/v1/promotion_codes", code="HALF", **about)["id"]
        world.stripe("POST", f"/v1/promotion_codes/{code}", active="false")
        asyncio.run(fill_mirror(world.settings))
        world._execute("UPDATE promotion_code SET active = true")  # as before it was used up
        changed = world.stripe("GET", "/v1/products", limit=1)["data"][0]
        world._execute("UPDATE product SET unit_label = 'ounce', name = 'Wrong' WHERE id = :id", {"id": changed["id"]})
        lost = world.stripe("POST", "/v1/customers", email="ada@example.com")

        found = run("reconcile", cwd=tmp_path, **world.environment())
        assert found.returncode == 1, found.stdout
        assert re.search(r"[1-9]\d* of them were not here", found.stdout)
        assert f'product {changed["id"]}: name differs; unit_label is "ounce" here and null at Stripe' in found.stdout
        assert "1 differences" in found.stdout
        assert world.rows("customer", id=lost["id"])  # its event, which nobody delivered, was found

        world.stripe("POST", f"/v1/customers/{lost['id']}", name="Ada")  # and so recent that it may be on its way
        repaired = run("reconcile", "--repair", cwd=tmp_path, **world.environment())
        assert "(on its way, or lost here): now recorded" in repaired.stdout
        assert repaired.returncode == 0, repaired.stdout
        assert world.rows("product", id=changed["id"])[0]["name"] == changed["name"]
