"""What follows what: jobs of the clock, events, and outcomes of payments and invoices, each in one table.

A job is scheduled by its name (`sandbox.clock.schedule`), an event is emitted by its type (`sandbox.emit`), an outcome
is told by its name (`sandbox.follow`); nothing else leads from one part of the billing engine back to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from gateway.sandbox.billing import (
    attached_payments,
    collection,
    customers,
    discounts,
    disputes,
    entitlements,
    fraud_warnings,
    invoices,
    ledger,
    metered,
    payments,
    payouts,
    pending_updates,
    previews,
    quotes,
    refunds,
    renewals,
    schedules,
    subscriptions,
)
from gateway.sandbox.billing.checkout import completion

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

OnTime: TypeAlias = "Callable[[Sandbox, str], None]"
OnObject: TypeAlias = "Callable[[Sandbox, Obj], None]"

JOBS: dict[str, OnTime] = {
    "charge.book": ledger.book_planned,  # an asynchronous capture reaches the balance
    "checkout.session.expire": completion.expire_planned,  # 24 hours, or as the session says
    "coupon.expire": discounts.expire_coupon,  # `redeem_by` has passed
    "dispute.lapse": disputes.lapse,  # nobody answered in time
    "invoice.finalize": invoices.advance_planned,  # a draft's hour is over
    "invoice.overdue": collection.overdue,  # the due date of a sent invoice has passed
    "invoice.retry": collection.retry,  # the next attempt to collect it
    "payment.settle": payments.settle_planned,  # a bank debit: the bank answers
    "payout.arrive": payouts.arrive,  # the bank has the money
    "quote.expire": quotes.expire,  # nobody accepted it in time
    "refund.failed": refunds.fail,  # the bank has no such account any more
    "refund.pending": refunds.settle,  # the bank has sent the money back
    "subscription.cycle": renewals.cycle,  # a billing period, or the trial, is over
    "subscription.end": renewals.end_planned,  # `cancel_at`
    "subscription.expire": subscriptions.expire,  # 23 hours without a first payment
    "subscription.pending_update": pending_updates.expire,  # a change was not paid within 23 hours
    "subscription.resume_collection": renewals.resume_collection,  # `pause_collection[resumes_at]`
    "subscription.trial_will_end": subscriptions.warn_of_trial_end,  # three days before
    "subscription.upcoming": previews.announce,  # a week before a renewal
    "subscription_schedule.expiring": schedules.warn_of_end,  # a week before
    "subscription_schedule.phase": schedules.enter,  # a phase begins, or the last one is over
}
"""Name of a job -> what to do with the id of its object when the time has come."""

EVENTS: tuple[tuple[str, OnObject], ...] = (
    ("charge.refunded", fraud_warnings.refunded),
    ("customer.subscription.deleted", pending_updates.subscription_ended),
    ("customer.subscription.", entitlements.refresh),  # what a customer may use follows from the subscriptions
)
"""Beginning of an event type -> what to do with the event's object."""

OUTCOMES: dict[str, tuple[OnObject, ...]] = {
    "checkout.session.payment_settled": (completion.payment_settled,),  # with the payment intent
    "invoice.payment_settled": (attached_payments.settled,),  # with the payment intent
    "invoice.finalizing": (metered.refresh,),  # a draft is about to be opened
    "invoice.paid": (
        customers.invoice_paid,
        pending_updates.invoice_paid,
        subscriptions.invoice_paid,
        completion.invoice_paid,
    ),
    "invoice.processing": (subscriptions.invoice_processing,),  # a bank debit is on its way
    "invoice.failed": (customers.invoice_failed, subscriptions.invoice_failed, completion.invoice_failed),
    "invoice.overdue": (customers.invoice_overdue, subscriptions.invoice_overdue),
    "invoice.forgiven": (
        customers.invoice_paid,
        pending_updates.invoice_forgiven,
        subscriptions.invoice_forgiven,
    ),  # void or uncollectible
    "subscription.period_ended": (schedules.enter_due,),  # before the next period is billed
}
"""Outcome -> what it means for what the invoice or the payment belongs to, in this order."""
