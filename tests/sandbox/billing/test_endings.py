"""Ends, planned and at once, and paused collection, with hand-computed amounts."""

import pytest
import stripe

from harness.clocked import DAY, FEBRUARY, HOUR, MARCH, START, get, invoices, item, prorations, types


def test_cancel_at_period_end_keeps_it_until_then(client, subscribe, price, at):
    subscription = subscribe(price())
    subscription = client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert (subscription.status, subscription.cancel_at) == ("active", FEBRUARY)
    assert client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False}).cancel_at is None
    client.v1.subscriptions.update(subscription.id, {"cancel_at": "min_period_end"})
    at(FEBRUARY + HOUR)
    subscription = get(client, subscription)
    assert (subscription.status, subscription.ended_at) == ("canceled", FEBRUARY)
    assert len(invoices(client, subscription)) == 1
    assert types(client, "customer.subscription.deleted")


def test_of_two_ways_to_plan_the_end_the_last_one_counts(client, subscribe, price):
    subscription = subscribe(price())

    def end_of(**params):
        changed = client.v1.subscriptions.update(subscription.id, params)
        return changed.cancel_at_period_end, changed.cancel_at, changed.canceled_at is None

    assert end_of(cancel_at_period_end=True) == (True, FEBRUARY, False)
    assert end_of(cancel_at="") == (False, None, True)
    assert end_of(cancel_at=MARCH) == (False, MARCH, False)
    assert end_of(cancel_at_period_end=True) == (True, FEBRUARY, False)
    assert end_of(cancel_at=MARCH) == (False, MARCH, False)
    assert end_of(cancel_at_period_end=False) == (False, None, True)
    with pytest.raises(stripe.InvalidRequestError, match="only specify one"):
        end_of(cancel_at_period_end=True, cancel_at=MARCH)


def test_what_ends_now_is_planned_to_end_no_more(client, subscribe, price):
    subscription = subscribe(price())
    client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    canceled = client.v1.subscriptions.cancel(subscription.id)
    why = {"cancellation_details": {"feedback": "unused"}}
    assert client.v1.subscriptions.update(canceled.id, why).cancellation_details.feedback == "unused"
    with pytest.raises(stripe.InvalidRequestError, match="only update its cancellation_details and metadata"):
        client.v1.subscriptions.update(canceled.id, {**why, "cancel_at_period_end": True})
    assert (canceled.status, canceled.cancel_at, canceled.cancel_at_period_end) == ("canceled", None, False)


def test_an_end_within_the_period_is_credited_and_taken_back_charged(client, customer, subscribe, price, at):
    subscription = subscribe(price(3100))
    ended = client.v1.subscriptions.update(subscription.id, {"cancel_at": START + 10 * DAY})
    assert item(ended).current_period_end == START + 10 * DAY
    assert prorations(client) == [-2100]
    later = client.v1.subscriptions.update(subscription.id, {"cancel_at": START + 20 * DAY})
    assert (item(later).current_period_end, prorations(client)) == (START + 20 * DAY, [-2100, 1000])
    whole = client.v1.subscriptions.update(subscription.id, {"cancel_at": ""})
    assert (item(whole).current_period_end, prorations(client)) == (FEBRUARY, [-2100, 1000, 1100])
    client.v1.subscriptions.update(subscription.id, {"cancel_at": START + 30 * DAY, "proration_behavior": "none"})
    assert prorations(client) == [-2100, 1000, 1100]
    at(START + 30 * DAY + HOUR)
    assert get(client, subscription).status == "canceled"


def test_an_end_within_a_later_period_bills_that_period_in_part(client, subscribe, price, at):
    subscription = subscribe(price(2800))
    client.v1.subscriptions.update(subscription.id, {"cancel_at": FEBRUARY + 7 * DAY})
    at(FEBRUARY + HOUR)
    subscription = get(client, subscription)
    assert invoices(client, subscription)[-1] == ("subscription_cycle", "paid", 700)
    assert subscription.latest_invoice.lines.data[0].parent.subscription_item_details.proration
    assert item(subscription).current_period_end == FEBRUARY + 7 * DAY
    at(FEBRUARY + 8 * DAY)
    subscription = get(client, subscription)
    assert (subscription.status, subscription.ended_at) == ("canceled", FEBRUARY + 7 * DAY)
    assert len(invoices(client, subscription)) == 2


def test_a_subscription_made_to_end_within_its_first_period_costs_its_share(client, subscribe, price):
    subscription = subscribe(price(3100), cancel_at=START + 10 * DAY)
    assert get(client, subscription).latest_invoice.total == 1000


def test_cancel_now_with_proration_credits_the_unused_time(client, customer, subscribe, price, at):
    subscription = subscribe(price(3100))
    at(START + 10 * DAY)
    canceled = client.v1.subscriptions.cancel(subscription.id, {"prorate": True, "invoice_now": True})
    assert canceled.status == "canceled"
    assert client.v1.customers.retrieve(customer.id).balance == -2100


def test_a_paused_collection_voids_its_invoices_until_it_resumes(client, subscribe, price, at):
    subscription = subscribe(price())
    client.v1.subscriptions.update(
        subscription.id, {"pause_collection": {"behavior": "void", "resumes_at": MARCH - DAY}}
    )
    at(FEBRUARY + HOUR)
    assert invoices(client, subscription)[-1] == ("subscription_cycle", "void", 1000)
    at(MARCH + HOUR)
    assert invoices(client, subscription)[-1] == ("subscription_cycle", "paid", 1000)


@pytest.mark.parametrize(
    ("behavior", "status"), [("void", "void"), ("mark_uncollectible", "uncollectible"), ("keep_as_draft", "draft")]
)
def test_what_a_change_bills_while_collection_is_paused_is_put_by_as_a_renewal_is(
    client, subscribe, price, behavior, status
):
    subscription = subscribe(price())
    client.v1.subscriptions.update(subscription.id, {"pause_collection": {"behavior": behavior}})
    dearer = [{"id": subscription["items"].data[0].id, "price": price(3000)}]
    how = {"proration_behavior": "always_invoice", "payment_behavior": "error_if_incomplete"}
    client.v1.subscriptions.update(subscription.id, {"items": dearer, **how})
    assert invoices(client, subscription)[-1] == ("subscription_update", status, 2000)
