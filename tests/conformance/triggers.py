"""What `stripe trigger` of the real CLI does to the offline Stripe: the list, and the reasons for what is missing."""

import re

# What `stripe trigger` offers (version 1.52.0); test_stripe_clients.py holds this list against the CLI's own.
TRIGGERS = """\
billing_portal.configuration.created billing_portal.configuration.updated billing_portal.session.created
charge.captured charge.dispute.closed charge.dispute.created charge.dispute.updated charge.failed
charge.refund.updated charge.refunded charge.succeeded
checkout.session.async_payment_failed checkout.session.async_payment_succeeded checkout.session.completed
checkout.session.expired coupon.created coupon.deleted coupon.updated
credit_note.created credit_note.updated credit_note.voided
customer.created customer.deleted customer.discount.created customer.discount.deleted customer.discount.updated
customer.source.created customer.source.updated customer.subscription.created customer.subscription.deleted
customer.subscription.paused customer.subscription.trial_will_end customer.subscription.updated customer.updated
invoice.created invoice.deleted invoice.finalized invoice.marked_uncollectible invoice.paid
invoice.payment_action_required invoice.payment_failed invoice.payment_succeeded invoice.sent invoice.updated
invoice.voided invoiceitem.created invoiceitem.deleted
payment_intent.amount_capturable_updated payment_intent.canceled payment_intent.created
payment_intent.payment_failed payment_intent.processing payment_intent.requires_action payment_intent.succeeded
payment_method.attached payment_method.detached payment_method.updated
payment_link.created payment_link.updated payout.created payout.updated
plan.created plan.deleted plan.updated price.created price.updated product.created product.deleted product.updated
promotion_code.created promotion_code.updated
quote.accepted quote.canceled quote.created quote.finalized
setup_intent.canceled setup_intent.created setup_intent.requires_action setup_intent.setup_failed
setup_intent.succeeded subscription.payment_failed subscription.payment_succeeded
subscription_schedule.aborted subscription_schedule.canceled subscription_schedule.completed
subscription_schedule.created subscription_schedule.released
subscription_schedule.updated
tax_rate.created tax_rate.updated
test_helpers.test_clock.advancing test_helpers.test_clock.created test_helpers.test_clock.deleted
test_helpers.test_clock.ready
""".split()  # noqa: SIM905 - people read it

# The others, each with the reason why the offline Stripe does not play it. It says so itself, as a 404 or a 400.
OUT_OF_SCOPE = {
    "account.": "Connect: accounts of others",
    "balance.": "nothing tells that money is available by now",
    "cash_balance.": "bank transfers into a customer's cash balance",
    "customer_cash_balance_transaction.": "bank transfers into a customer's cash balance",
    "payment_intent.partially_funded": "bank transfers into a customer's cash balance",
    "identity.": "Stripe Identity",
    "issuing": "Stripe Issuing",
    "reporting.": "Stripe's reports",
    "subscription_schedule.expiring": "its fixture stops nine days before the schedule's end, Stripe documents seven",
    "topup.": "money that the account adds to its balance",
    "transfer.": "Connect: accounts of others",
    "v1.billing.meter.": "the CLI sends these to meter-events.stripe.com, whatever its --api-base says",
}


def out_of_scope(event):
    """Why an event of the CLI is not played; None for one that is."""
    return next((why for prefix, why in OUT_OF_SCOPE.items() if event.startswith(prefix)), None)


def report(terminal):
    """Write the triggers and what became of them into the test run."""
    name = re.compile(r"test_the_cli_triggers\[(.+)\]")
    outcomes = {
        found[1]: outcome
        for outcome in ("failed", "passed")
        for each in terminal.stats.get(outcome, ())
        if (found := name.search(each.nodeid))
    }
    if not outcomes:
        return
    played = sorted(event for event, outcome in outcomes.items() if outcome == "passed")
    terminal.section("stripe trigger")
    terminal.write_line(f"played: {len(played)} of {len(outcomes)} ({' '.join(played)})")
    for event in sorted(outcomes.keys() - set(played)):
        terminal.write_line(f"FAILED: {event}")
    for prefix, why in OUT_OF_SCOPE.items():
        terminal.write_line(f"not played: {prefix}* ({why})")
