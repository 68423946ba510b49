"""Two months in the life of a small shop, played on an offline Stripe: something of each kind that billing knows."""

import contextlib
import time

import httpx
import stripe

from harness.checkout import CARD
from harness.offline_stripe import OfflineStripe

DAY = 24 * 3600
RETURN = "https://shop.example/done"


def live(offline: OfflineStripe) -> None:
    """Play the two months before now, so that a program that asks for what is past finds all of it.

    Args:
        offline: an offline Stripe whose time stands at least 62 days ago.
    """
    client = offline.client()
    shop = Shop(client)
    shop.subscribe()
    shop.sell()
    shop.check_out(offline.url)
    offline.lever("clock/advance", by=31 * DAY)
    shop.meet_trouble()
    offline.lever("clock/advance", by=31 * DAY)
    left = int(time.time()) - offline.state()["now"]
    if left > 0:
        offline.lever("clock/advance", by=left)


class Shop:
    """A catalogue, three customers, and what they do."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self.v1 = v1 = client.v1
        rate = v1.tax_rates.create({"display_name": "VAT", "percentage": 19, "inclusive": False, "country": "DE"})
        self.rate = rate.id
        v1.tax_ids.create({"type": "eu_vat", "value": "DE123456789"})
        self.product = v1.products.create({"name": "Tea", "description": "Leaves", "metadata": {"sort_order": "1"}}).id
        monthly = {"product": self.product, "currency": "usd", "recurring": {"interval": "month"}}
        self.small = v1.prices.create({**monthly, "unit_amount": 900, "lookup_key": "small"}).id
        self.large = v1.prices.create({**monthly, "unit_amount": 2900, "lookup_key": "large", "nickname": "Large"}).id
        tiers = [{"up_to": 10, "unit_amount": 100}, {"up_to": "inf", "unit_amount": 50}]
        tiered = {**monthly, "billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": tiers}
        self.tiered = v1.prices.create(tiered).id
        self.once = v1.prices.create({"product": self.product, "currency": "usd", "unit_amount": 500}).id
        meter = v1.billing.meters.create(
            {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
        )
        metered = {"interval": "month", "usage_type": "metered", "meter": meter.id}
        self.metered = v1.prices.create({**monthly, "unit_amount": 2, "recurring": metered}).id
        self.coupon = v1.coupons.create({"percent_off": 25, "duration": "forever", "name": "Friends"}).id
        v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": self.coupon}, "code": "FRIENDS"})
        feature = v1.entitlements.features.create({"name": "Infusions", "lookup_key": "infusions"})
        v1.products.features.create(self.product, {"entitlement_feature": feature.id})
        v1.billing_portal.configurations.create({"features": {"invoice_history": {"enabled": True}}})
        v1.shipping_rates.create(
            {"display_name": "Post", "type": "fixed_amount", "fixed_amount": {"amount": 400, "currency": "usd"}}
        )
        self.ada, self.bob, self.eve = (
            self.customer(name, card) for name, card in (("Ada", "visa"), ("Bob", "mastercard"), ("Eve", "visa"))
        )

    def customer(self, name: str, card: str) -> str:
        """Return a new customer with a card and an address."""
        made = self.v1.customers.create(
            {
                "name": name,
                "email": f"{name.lower()}@example.com",
                "address": {"line1": "1 High Street", "city": "Berlin", "country": "DE", "postal_code": "10115"},
                "payment_method": f"pm_card_{card}",
                "invoice_settings": {"default_payment_method": f"pm_card_{card}"},
                "metadata": {"user_id": f"user_{name.lower()}"},
            }
        )
        return made.id

    def subscribe(self) -> None:
        """Have subscriptions that renew, are tried, discounted, taxed, metered, scheduled, upgraded and cancelled."""
        v1 = self.v1
        v1.customers.tax_ids.create(self.ada, {"type": "eu_vat", "value": "DE987654321"})
        v1.subscriptions.create(
            {
                "customer": self.ada,
                "items": [{"price": self.small, "quantity": 2}, {"price": self.metered}],
                "default_tax_rates": [self.rate],
                "discounts": [{"coupon": self.coupon}],
                "metadata": {"kind": "discounted"},
            }
        )
        v1.billing.meter_events.create(
            {"event_name": "calls", "payload": {"stripe_customer_id": self.ada, "value": "7"}}
        )
        v1.subscriptions.create({"customer": self.bob, "items": [{"price": self.tiered, "quantity": 14}]})
        v1.subscriptions.create({"customer": self.bob, "items": [{"price": self.large}], "trial_period_days": 14})
        later = {"items": [{"price": self.small, "quantity": 1}]}
        changing = v1.subscriptions.create({"customer": self.eve, "items": [{"price": self.large}]})
        schedule = v1.subscription_schedules.create({"from_subscription": changing.id})
        phase = schedule.phases[0]
        now = {
            "items": [{"price": self.large, "quantity": 1}],
            "start_date": phase.start_date,
            "end_date": phase.end_date,
        }
        v1.subscription_schedules.update(schedule.id, {"phases": [now, later], "end_behavior": "release"})
        self.falling = v1.subscriptions.create({"customer": self.eve, "items": [{"price": self.small}]}).id
        ended = v1.subscriptions.create({"customer": self.ada, "items": [{"price": self.small}]})
        item = ended["items"].data[0]
        upgrade = {"items": [{"id": item.id, "price": self.large}], "proration_behavior": "always_invoice"}
        v1.subscriptions.update(ended.id, upgrade)
        v1.subscriptions.cancel(ended.id, {"prorate": True})
        v1.subscriptions.create(
            {
                "customer": self.ada,
                "items": [{"price": self.large}],
                "payment_behavior": "default_incomplete",
                "default_payment_method": v1.payment_methods.attach("pm_card_visa", {"customer": self.ada}).id,
            }
        )

    def sell(self) -> None:
        """Have invoices in each status, credit notes, charges, refunds, a dispute, a decline and a balance."""
        v1 = self.v1
        statuses = ("paid", "open", "void", "uncollectible", "draft")
        for status in statuses:
            invoice = v1.invoices.create(
                {"customer": self.ada, "collection_method": "send_invoice", "days_until_due": 30}
            )
            v1.invoice_items.create({"customer": self.ada, "invoice": invoice.id, "pricing": {"price": self.once}})
            if status == "draft":
                continue
            v1.invoices.finalize_invoice(invoice.id)
            if status == "paid":
                v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})
                credited = [{"type": "custom_line_item", "quantity": 1, "unit_amount": 100, "description": "Late"}]
                v1.credit_notes.create({"invoice": invoice.id, "lines": credited, "credit_amount": 100})
            elif status == "void":
                v1.invoices.void_invoice(invoice.id)
            elif status == "uncollectible":
                v1.invoices.mark_uncollectible(invoice.id)
        v1.invoice_items.create({"customer": self.bob, "amount": 300, "currency": "usd", "description": "Pending"})
        v1.customers.balance_transactions.create(self.bob, {"amount": -700, "currency": "usd"})
        for card, back in (("visa", 200), ("mastercard", None), ("createDispute", None)):
            intent = self.pay(f"pm_card_{card}", 1500)
            if back:
                v1.refunds.create({"payment_intent": intent.id, "amount": back, "reason": "requested_by_customer"})
        with contextlib.suppress(stripe.CardError):
            self.pay("pm_card_chargeDeclined", 1500)
        v1.payment_intents.create({"amount": 800, "currency": "usd", "customer": self.bob})
        v1.setup_intents.create(
            {"customer": self.bob, "payment_method": "pm_card_visa", "confirm": True, "return_url": RETURN}
        )

    def pay(self, card: str, amount: int) -> stripe.PaymentIntent:
        """Return a payment that was tried at once."""
        made = {"amount": amount, "currency": "usd", "customer": self.bob, "return_url": RETURN, "confirm": True}
        return self.v1.payment_intents.create({**made, "payment_method": card})

    def check_out(self, url: str) -> None:
        """Have a checkout session that is paid, and one that expires; the first card is typed into the hosted page."""
        lines = {"mode": "payment", "line_items": [{"price": self.once, "quantity": 1}], "success_url": RETURN}
        paid, left = (self.v1.checkout.sessions.create({**lines, "customer": self.ada}) for _ in range(2))
        answer = httpx.post(paid.url, data={**CARD, "action": "pay"}, headers={"Origin": url})
        assert answer.status_code == 303, answer.text
        self.v1.checkout.sessions.expire(left.id)

    def meet_trouble(self) -> None:
        """Let one customer's card fail from here on."""
        refusing = self.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": self.eve})
        self.v1.subscriptions.update(self.falling, {"default_payment_method": refusing.id})
