"""Scenes at the press of a button, each by what an application then sees."""

from datetime import UTC, datetime

import httpx
import pytest

from gateway.sandbox.scenes import SCENES

DAY = 86_400


def played(server, name: str, **given):
    """Play a scene; the customer and the subscription as the API shows them."""
    answer = httpx.post(f"{server.url}/_sandbox/scenes/{name}", json=given, timeout=60)
    assert answer.is_success, answer.text
    client = server.client()
    expand = {"expand": ["latest_invoice", "schedule"]}
    ids = answer.json()
    return client.v1.customers.retrieve(ids["customer"]), client.v1.subscriptions.retrieve(ids["subscription"], expand)


def kinds(server) -> list[str]:
    return [event.type for event in server.client().v1.events.list({"limit": 100}).data]


def test_a_renewal_fails(sandbox_server):
    customer, subscription = played(sandbox_server, "renewal_fails")
    assert (subscription.status, subscription.latest_invoice.attempt_count) == ("past_due", 1)
    assert subscription.latest_invoice.hosted_invoice_url.startswith(sandbox_server.url)
    assert customer.delinquent
    assert "invoice.payment_failed" in kinds(sandbox_server)


def test_a_trial_ends_in_three_days(sandbox_server):
    before = sandbox_server.sandbox.now()
    _, subscription = played(sandbox_server, "trial_ends")
    assert subscription.status == "trialing"
    assert subscription.trial_end - before == pytest.approx(3 * DAY, abs=30)
    sandbox_server.advance(60)
    assert "customer.subscription.trial_will_end" in kinds(sandbox_server)


def test_a_card_expires(sandbox_server):
    customer, subscription = played(sandbox_server, "card_expires")
    (charge, *_) = sandbox_server.client().v1.charges.list({"customer": customer.id}).data
    assert (subscription.status, charge.failure_code) == ("past_due", "expired_card")
    card = sandbox_server.client().v1.payment_methods.retrieve(charge.payment_method).card
    charged = datetime.fromtimestamp(charge.created, UTC)
    assert (card.exp_year, card.exp_month) < (charged.year, charged.month)


def test_a_charge_is_disputed(sandbox_server):
    customer, _ = played(sandbox_server, "dispute")
    (dispute,) = sandbox_server.client().v1.disputes.list().data
    (charge,) = sandbox_server.client().v1.charges.list({"customer": customer.id}).data
    assert (dispute.status, dispute.charge) == ("needs_response", charge.id)


def test_a_downgrade_waits_for_the_end_of_the_period_of_the_subscription_that_is_there(sandbox_factory):
    server = sandbox_factory(catalog=True)
    client = server.client()
    customer, first = played(server, "trial_ends")
    _, subscription = played(server, "downgrade_waits", customer=customer.id)
    assert subscription.id == first.id
    now, then = subscription.schedule.phases
    amounts = [client.v1.prices.retrieve(phase.items[0].price).unit_amount for phase in (now, then)]
    assert amounts[1] < amounts[0]
    server.advance(4 * DAY)
    assert client.v1.subscriptions.retrieve(first.id)["items"].data[0].price.id == then.items[0].price


def test_what_cannot_be_played_is_told(sandbox_server):
    client = sandbox_server.client()
    clock = client.v1.test_helpers.test_clocks.create({"frozen_time": sandbox_server.sandbox.now()})
    elsewhere = client.v1.customers.create({"test_clock": clock.id}).id
    unknown = ("dispute", {"customer": "cus_x"}, 400)
    for name, given, status in (("nothing", {}, 404), unknown, ("dispute", {"customer": elsewhere}, 400)):
        assert httpx.post(f"{sandbox_server.url}/_sandbox/scenes/{name}", json=given).status_code == status
    assert httpx.get(f"{sandbox_server.url}/_sandbox/scenes").json().keys() == SCENES.keys()
