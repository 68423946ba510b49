"""One subscription's whole life, played over the SDK on the sandbox's own clock: what a customer can go through."""

import httpx

from gateway.sandbox.core.periods import DAY, HOUR

# 1 January 2026, so that periods are whole months.
START = 1_767_225_600


def test_the_whole_life_of_a_subscription(sandbox_factory):
    server = sandbox_factory(clock=START)
    client = server.client()
    product = client.v1.products.create({"name": "Team"})

    def price(**params):
        return client.v1.prices.create({"product": product.id, "currency": "usd", **params}).id

    def at(moment):
        httpx.post(f"{server.url}/_sandbox/clock/advance", json={"to": moment}, timeout=30).raise_for_status()
        return subscription_now()

    def pay(session, card="pm_card_visa"):
        client.raw_request("post", f"/v1/payment_pages/{session.id}/confirm", payment_method=card)
        return client.v1.checkout.sessions.retrieve(session.id)

    def subscription_now():
        return client.v1.subscriptions.retrieve(bought.subscription, {"expand": ["latest_invoice"]})

    def give_card(token):
        method = client.v1.payment_methods.attach(token, {"customer": bought.customer})
        client.v1.subscriptions.update(bought.subscription, {"default_payment_method": method.id})

    def change(plan, **params):
        item = subscription_now()["items"].data[0]
        client.v1.subscriptions.update(item.subscription, {"items": [{"id": item.id, "price": plan}], **params})

    basic = price(unit_amount=1000, recurring={"interval": "month"})
    pro = price(unit_amount=3000, recurring={"interval": "month"})

    # A trial, from the hosted page.
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [{"price": basic, "quantity": 1}],
            "customer_email": "ada@example.com",
            "subscription_data": {"trial_period_days": 14},
            "success_url": "https://shop.test",
        }
    )
    bought = pay(session)
    assert (bought.status, subscription_now().status) == ("complete", "trialing")
    # The trial ends on 15 January, and so does each period on the 15th of a month.
    january = subscription_now().trial_end
    february, march, april, may = (january + days * DAY for days in (31, 59, 90, 120))

    # It converts to a paid plan.
    now = at(january + HOUR)
    assert (now.status, now.latest_invoice.amount_paid) == ("active", 1000)

    # Upgrade in the middle (15.5 of 31 days): half of 30 less half of 10 USD, at once.
    at(january + 15 * DAY + 12 * HOUR)
    change(pro, proration_behavior="always_invoice")
    assert subscription_now().latest_invoice.amount_paid == 1000

    # The next renewal fails ...
    give_card("pm_card_chargeCustomerFail")
    now = at(february + HOUR)
    assert (now.status, now.latest_invoice.status, now.latest_invoice.amount_due) == ("past_due", "open", 3000)

    # ... and recovers when the card is replaced and the retry comes.
    give_card("pm_card_mastercard")
    now = at(february + HOUR + 3 * DAY)
    assert (now.status, now.latest_invoice.status) == ("active", "paid")

    # Downgrade from the next period on.
    change(basic, proration_behavior="none")
    now = at(march + HOUR)
    assert now.latest_invoice.amount_paid == 1000

    # Cancelled at the period's end: it runs until then, and is not renewed.
    client.v1.subscriptions.update(
        now.id, {"cancel_at": "min_period_end", "cancellation_details": {"feedback": "unused"}}
    )
    assert (subscription_now().status, subscription_now().cancel_at) == ("active", april)
    now = at(april + HOUR)
    assert (now.status, now.ended_at, now.cancellation_details.feedback) == ("canceled", april, "unused")
    assert at(may).status == "canceled"

    # A one-off purchase by the same customer, half of which is refunded, then disputed.
    once = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "customer": bought.customer,
            "line_items": [{"price": price(unit_amount=4000), "quantity": 1}],
            "success_url": "https://shop.test",
        }
    )
    intent = pay(once).payment_intent
    assert client.v1.refunds.create({"payment_intent": intent, "amount": 2000}).status == "succeeded"
    again = client.v1.payment_intents.create(
        {"amount": 4000, "currency": "usd", "payment_method": "pm_card_createDispute", "confirm": True}
    )
    at(may + HOUR)
    [dispute] = client.v1.disputes.list({"payment_intent": again.id}).data
    assert client.v1.disputes.close(dispute.id).status == "lost"

    types = [event.type for event in client.v1.events.list({"limit": 100}).auto_paging_iter()]
    for expected in (
        "checkout.session.completed",
        "charge.refunded",
        "charge.dispute.created",
        "charge.dispute.closed",
    ):
        assert expected in types
    paid_invoices = client.v1.invoices.list({"subscription": now.id, "status": "paid"}).data
    assert [invoice.total for invoice in paid_invoices] == [1000, 3000, 1000, 1000, 0]
