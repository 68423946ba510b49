"""Subscriptions of a customer on a test clock of the offline Stripe, as Stripe's SDK sees them."""

DAY, HOUR = 86_400, 3_600
# 1 January 2026: the first month has 31 days, February 28.
START = 1_767_225_600
FEBRUARY, MARCH = START + 31 * DAY, START + 59 * DAY


def give_card(client, customer, token):
    """Let the customer pay with this card of Stripe's from now on."""
    method = client.v1.payment_methods.attach(token, {"customer": customer})
    client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": method.id}})


def get(client, subscription):
    """Return it as it is now, with its latest invoice."""
    return client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})


def item(subscription, number=0):
    """Return one of its items."""
    return subscription["items"].data[number]


def invoices(client, subscription):
    """Return the reason, status and total of each, oldest first."""
    found = client.v1.invoices.list({"subscription": subscription.id, "limit": 100}).data
    return [(each.billing_reason, each.status, each.total) for each in found][::-1]


def types(client, prefix):
    """Return the types of the events that begin so, oldest first."""
    events = client.v1.events.list({"limit": 100}).auto_paging_iter()
    return [event.type for event in events if event.type.startswith(prefix)][::-1]


def changed(client, subscription, price_id, behavior):
    """Give its first item another price."""
    client.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item(subscription).id, "price": price_id}], "proration_behavior": behavior}
    )


def prorations(client):
    """Return the amounts of the invoice items, oldest first."""
    return [entry.amount for entry in reversed(client.v1.invoice_items.list().data)]
