"""Time: test clocks, the sandbox's own clock."""

from itertools import pairwise

import httpx
import pytest
import stripe

from harness.waiting import eventually

DAY = 86_400
START = 1_750_000_000


def ready(v1, clock_id):
    """The clock once it has come to its end."""
    eventually(lambda: v1.test_helpers.test_clocks.retrieve(clock_id).status, "ready")
    return v1.test_helpers.test_clocks.retrieve(clock_id)


def monthly(v1, customer):
    """A monthly subscription of a customer with a good card."""
    data = {"currency": "usd", "unit_amount": 500, "recurring": {"interval": "month"}}
    price = v1.products.create({"name": "Pro", "default_price_data": data}).default_price
    method = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    return v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price}], "default_payment_method": method.id}
    )


def advance(server, **body):
    answer = httpx.post(f"{server.url}/_sandbox/clock/advance", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_lives_by_a_test_clock_is_made_at_its_time(stripe_client):
    v1 = stripe_client.v1
    clock = v1.test_helpers.test_clocks.create({"frozen_time": START, "name": "then"})
    customer = v1.customers.create({"test_clock": clock.id})
    assert customer.created == START
    assert v1.customers.list().data == []
    assert [each.id for each in v1.customers.list({"test_clock": clock.id}).data] == [customer.id]
    event = v1.events.list({"type": "customer.created"}).data
    assert event == [] or event[0].created == START


def test_a_test_clock_advances_in_the_background_and_renews(stripe_client):
    v1 = stripe_client.v1
    clock = v1.test_helpers.test_clocks.create({"frozen_time": START})
    subscription = monthly(v1, v1.customers.create({"test_clock": clock.id}))
    moving = v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": START + 63 * DAY})
    assert moving.status == "advancing"
    assert ready(v1, clock.id).frozen_time == START + 63 * DAY
    invoices = v1.invoices.list({"subscription": subscription.id}).data
    assert [invoice.billing_reason for invoice in invoices] == ["subscription_cycle"] * 2 + ["subscription_create"]
    assert sorted(invoice.created for invoice in invoices) == [invoice.created for invoice in reversed(invoices)]


@pytest.mark.parametrize("target", [START, START - 1])
def test_a_test_clock_only_goes_forward(stripe_client, target):
    clocks = stripe_client.v1.test_helpers.test_clocks
    clock = clocks.create({"frozen_time": START})
    with pytest.raises(stripe.InvalidRequestError):
        clocks.advance(clock.id, {"frozen_time": target})


def test_a_deleted_test_clock_takes_its_customers_along(stripe_client):
    v1 = stripe_client.v1
    clock = v1.test_helpers.test_clocks.create({"frozen_time": START})
    customer = v1.customers.create({"test_clock": clock.id})
    subscription = monthly(v1, customer)
    v1.test_helpers.test_clocks.delete(clock.id)
    assert v1.customers.retrieve(customer.id).deleted
    with pytest.raises(stripe.InvalidRequestError):
        v1.subscriptions.retrieve(subscription.id)


def test_a_jump_of_a_year_renews_a_monthly_subscription_twelve_times_in_order(stripe_client, sandbox_server):
    v1 = stripe_client.v1
    subscription = monthly(v1, v1.customers.create({}))
    advance(sandbox_server, by=366 * DAY)
    invoices = v1.invoices.list({"subscription": subscription.id, "limit": 100}).data
    assert len(invoices) == 13
    moments = [invoice.created for invoice in reversed(invoices)]
    assert moments == sorted(moments)
    assert all(27 * DAY < later - earlier < 32 * DAY for earlier, later in pairwise(moments))
    assert v1.subscriptions.retrieve(subscription.id).status == "active"


def test_the_clock_jumps_to_the_next_thing_that_is_due(stripe_client, sandbox_server):
    v1 = stripe_client.v1
    before = sandbox_server.sandbox.now()
    v1.coupons.create({"percent_off": 5, "redeem_by": before + 10 * DAY})
    told = advance(sandbox_server, next=True)
    assert before + 10 * DAY <= told["now"] <= before + 10 * DAY + 60
    assert told["jobs"] == 1


def test_the_clock_does_not_go_back(sandbox_server):
    answer = httpx.post(f"{sandbox_server.url}/_sandbox/clock/advance", json={"to": 5})
    assert "only goes forward" in answer.json()["error"]["message"]


def test_a_sandbox_can_start_at_another_time(sandbox_factory):
    server = sandbox_factory(clock=START)
    assert START <= server.client().v1.customers.create({}).created <= START + 60


def test_a_fault_in_a_job_ends_the_advance_visibly_and_stops_nothing_else(stripe_client, sandbox_server, caplog):
    v1, clocks = stripe_client.v1, stripe_client.v1.test_helpers.test_clocks
    broken, sound = (clocks.create({"frozen_time": START}) for _ in range(2))
    customer = v1.customers.create({"test_clock": broken.id})
    sandbox_server.sandbox.clock.schedule(START + DAY, "subscription.cycle", customer.id)  # no subscription
    clocks.advance(broken.id, {"frozen_time": START + 2 * DAY})
    eventually(lambda: clocks.retrieve(broken.id).status, "internal_failure")
    assert "No such subscription" in caplog.text
    assert v1.customers.create({}).id
    assert clocks.retrieve(sound.id).status == "ready"
