"""One visible table: what each type of event does, with the reason on each line.

The objects of a whole batch of events are written first, in few statements; then comes what an event does beside that.
A handler writes what the event itself proves, within the transaction that also saves the event's outcome, and names
what must be fetched from Stripe afterwards. It holds no mapping: those are in `mirror/`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from gateway.billing.catalog import features
from gateway.billing.checkout.trials import is_guests
from gateway.billing.credits.prices import unknown_prices
from gateway.billing.credits.settlement import settle
from gateway.billing.invoices import note_failed_charge
from gateway.billing.metering.forwarder import mark_uncounted
from gateway.mirror.accounts import key_of
from gateway.mirror.mapping import Json, id_of
from gateway.mirror.resources import RESOURCES, Unreadable
from gateway.mirror.sync import Change, Mirror
from gateway.mirror.upsert import WriteResult
from gateway.outbound.outbox import append_failed_charge
from gateway.outbound.reminders import remind_of_renewal, remind_of_trial
from gateway.retention.erase import note_deletion
from gateway.webhooks.changes import change_of, siblings
from gateway.webhooks.event import StripeEvent
from gateway.webhooks.outcomes import Outcome

V2_EVENT = "v2.core.event"
After = Callable[[sa.Connection, StripeEvent, Outcome], Outcome]


@dataclass(frozen=True, slots=True)
class Handler:
    """What a type of event does.

    Args:
        deleted: whether the event says that its object is gone for good.
        stores: whether the event's object goes into the mirror.
        reads_event: whether the event itself is read from Stripe, because what it says is in no delivery of it.
        after: what follows, in the same transaction; also when the object was stale, because effects are keyed by their
            own facts. It gets the outcome so far and returns it, changed or not. It locks rows of its own in a fixed
            order.
        of_accounts: whether `after` follows also from events of connected accounts: only where it has no consequence
            for our own.
    """

    deleted: bool = False
    stores: bool = True
    reads_event: bool = False
    after: After | None = None
    of_accounts: bool = False

    def follows(self, event: StripeEvent) -> bool:
        """Return whether `after` follows from an event: what connected accounts do has no consequences here."""
        return self.after is not None and (event.account is None or self.of_accounts)


def fetch_price(_: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Have a price fetched, whose tiers and currency options are in no event, unless only other attributes changed."""
    obj, changed = event.object, event.previous_attributes
    others = bool(changed) and {*(changed or ())} <= {*obj} and outcome.detail != WriteResult.CREATED
    whole = {"tiers", "currency_options"} <= {*obj}
    if outcome.status == "stale" or others or whole or outcome.pending_fetches:
        return outcome
    return outcome._replace(pending_fetches=(f"price:{obj['id']}",))


def fetch_checkout(connection: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Have a completed checkout fetched: the customer, the e-mail and the card it was paid with.

    Credits and access are never given here: they wait for `invoice.paid` and the subscription's own events. A guest's
    is fetched also when its state is known, because whether it repeats a trial is looked at after that.
    """
    if outcome.status != "applied" and not is_guests(connection, event.object["id"]):
        return outcome
    return outcome._replace(pending_fetches=(f"checkout.session:{event.object['id']}",))


def note_failure(connection: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Note since when an invoice could not be charged, which counts also when its state is stale, and tell of it."""
    note_failed_charge(connection, event.object["id"], event.created)
    attempt, following = int(event.object.get("attempt_count") or 0), event.object.get("next_payment_attempt")
    append_failed_charge(connection, event.object["id"], attempt, following)
    return outcome


def grant_credits(connection: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Settle a paid invoice; where the prices of its lines are unknown, have them fetched, then the invoice again.

    Settled here once more, because a price may have come between the writing of the invoice and this look.
    """
    try:
        lines = RESOURCES["invoice"].read(event.object)["lines"]
    except Unreadable:  # the whole invoice is fetched, and settled when it is written
        return outcome
    invoice_id = event.object["id"]
    if missing := unknown_prices(connection, lines):
        return outcome._replace(pending_fetches=(*outcome.pending_fetches, *missing, f"invoice:{invoice_id}"))
    settle(connection, [invoice_id])
    return outcome


def fetch_charge(_: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Have the charge of a refund fetched, which holds the sum of all refunds."""
    found = id_of(event.object.get("charge"))
    return outcome._replace(pending_fetches=(f"charge:{found}",)) if found else outcome


def fetch_new_products(connection: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Have the products of a subscription fetched whose features at Stripe are not known, where they matter."""
    changed = event.previous_attributes
    same = changed is not None and "items" not in changed
    if outcome.status != "applied" or outcome.pending_fetches or same:
        return outcome
    bought = (item.get("price") or item.get("plan") or {} for item in event.object["items"]["data"])
    products = {found for each in bought if (found := id_of(each.get("product")))}
    return _fetch_products(outcome, features.unread(connection, id_of(event.object["customer"]) or "", products))


def fetch_unexplained(connection: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Have a customer's products fetched where their known features are not the customer's entitlements."""
    if outcome.status != "applied":
        return outcome
    listed = event.object.get("entitlements") or {}
    keys = {each.get("lookup_key") for each in listed.get("data") or ()}
    products = features.unexplained(connection, event.object["customer"], keys, whole=not listed.get("has_more"))
    return _fetch_products(outcome, products)


def _fetch_products(outcome: Outcome, ids: Sequence[str]) -> Outcome:
    return outcome._replace(pending_fetches=(*outcome.pending_fetches, *(f"product:{each}" for each in ids)))


def note_refused_usage(connection: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Note which usage Stripe took and then could not count: the event names samples of it."""
    reason = (event.object.get("data") or {}).get("reason") or {}
    for error in reason.get("error_types") or ():
        samples = [each["request"]["identifier"] for each in error["sample_errors"]]
        mark_uncounted(connection, samples, error["code"], error["error_count"])
    return outcome


def tell_of_trial(connection: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Tell the application that a trial ends."""
    remind_of_trial(connection, event.object)
    return outcome


def tell_of_renewal(connection: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Tell the application that a renewal comes."""
    remind_of_renewal(connection, event.object)
    return outcome


def fetch_coupon(_: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Have the coupon of a discount fetched, which may be older than the endpoint."""
    if outcome.status != "applied":
        return outcome
    coupon_id = RESOURCES["discount"].read(event.object)["coupon_id"]
    return outcome._replace(pending_fetches=(f"coupon:{coupon_id}",))


def forget_customer(connection: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Have the payloads emptied that say who a deleted customer was."""
    note_deletion(connection, key_of(event.account, event.object["id"]))
    return outcome


upsert = Handler()
delete = Handler(deleted=True)
upsert_ending_trial = Handler(after=tell_of_trial)
announce_renewal = Handler(stores=False, after=tell_of_renewal)
upsert_discount = Handler(after=fetch_coupon, of_accounts=True)
delete_customer = Handler(deleted=True, after=forget_customer, of_accounts=True)
upsert_price = Handler(after=fetch_price, of_accounts=True)
upsert_checkout = Handler(after=fetch_checkout, of_accounts=True)
upsert_failed_charge = Handler(after=note_failure)
upsert_paid_invoice = Handler(after=grant_credits)
upsert_subscription = Handler(after=fetch_new_products)
upsert_entitlements = Handler(after=fetch_unexplained)
upsert_refund = Handler(after=fetch_charge, of_accounts=True)
refuse_usage = Handler(stores=False, after=note_refused_usage, reads_event=True)

HANDLERS: dict[str, Handler] = {
    # The four of the original, each followed by its company.
    "checkout.session.completed": upsert_checkout,  # the buyer came through: payment details, nothing more
    "checkout.session.async_payment_succeeded": upsert_checkout,  # the delayed payment arrived: `paid` only now
    "checkout.session.async_payment_failed": upsert,  # the delayed payment failed: complete, and unpaid for good
    "checkout.session.expired": upsert,  # nobody came: the session is no longer open
    "invoice.paid": upsert_paid_invoice,  # bought or renewed: credits are granted, once for each line
    "invoice_payment.paid": upsert,  # by which payment, so that a refund finds its invoice
    "invoice.created": upsert,  # a draft that people may see coming
    "invoice.finalized": upsert,  # it has its number, its page and its PDF now
    "invoice.updated": upsert,  # amounts and attempts
    "invoice.payment_succeeded": upsert,  # the older twin of `invoice.paid`
    "invoice.payment_failed": upsert_failed_charge,  # dunning begins: attempts, the next one, and the grace period
    "invoice.payment_action_required": upsert,  # the buyer must confirm
    "invoice.voided": upsert,  # never to be paid
    "invoice.marked_uncollectible": upsert,  # written off
    "invoice.deleted": delete,  # a draft thrown away
    "customer.subscription.updated": upsert_subscription,  # plan switch, trial to active, pause, pending cancellation
    "customer.subscription.deleted": upsert,  # it ended; `canceled` is final, and the row stays for its history
    "customer.subscription.created": upsert_subscription,  # the first state, often `incomplete`
    "customer.subscription.paused": upsert,  # a trial that ended without a card
    "customer.subscription.resumed": upsert,  # and went on
    "customer.subscription.trial_will_end": upsert_ending_trial,  # three days' notice, for the application's mail
    "invoice.upcoming": announce_renewal,  # days before it, for the application's mail; this invoice has no id yet
    "customer.subscription.pending_update_applied": upsert,  # a change that waited for its payment
    "customer.subscription.pending_update_expired": upsert,  # or was given up
    "subscription_schedule.created": upsert,  # a change is planned
    "subscription_schedule.updated": upsert,  # another one, or a phase has begun
    "subscription_schedule.released": upsert,  # what there is goes on
    "subscription_schedule.canceled": upsert,
    "subscription_schedule.completed": upsert,
    "subscription_schedule.aborted": upsert,  # a payment failed
    "customer.discount.created": upsert_discount,  # what it takes off, and until when
    "customer.discount.updated": upsert_discount,  # another one in its place
    "coupon.created": upsert,  # its name
    "coupon.updated": upsert,
    "coupon.deleted": delete,  # its discounts stay
    "promotion_code.created": upsert,  # what buyers may type
    "promotion_code.updated": upsert,  # switched off, or restricted
    # Who pays, and how.
    "customer.created": upsert,  # e-mail and name
    "customer.updated": upsert,  # e-mail, name, default payment method
    "customer.deleted": delete_customer,  # final
    "payment_method.attached": upsert,  # brand, last digits, expiry
    "payment_method.detached": upsert,  # no longer anybody's
    "payment_method.updated": upsert,  # a new expiry date
    "payment_method.automatically_updated": upsert,  # by the card network
    # What goes back to the buyer: credits are taken back in proportion.
    "charge.succeeded": upsert,  # so that reconciling finds what is at Stripe
    "charge.failed": upsert,
    "charge.pending": upsert,  # a bank debit takes days
    "charge.captured": upsert,
    "charge.expired": upsert,
    "charge.refunded": upsert,  # the sum of all refunds
    "charge.updated": upsert,  # the same, after a refund has failed
    "refund.created": upsert_refund,  # the refund of an older kind of payment comes without `charge.refunded`
    "refund.updated": upsert_refund,  # canceled, or succeeded after a while
    "refund.failed": upsert_refund,  # the charge has its money again, and tells nobody
    "charge.dispute.created": upsert,  # the bank claims it back
    "charge.dispute.updated": upsert,  # evidence
    "charge.dispute.closed": upsert,  # lost: credits go; won: they stay, or come back
    "credit_note.created": upsert,  # the same without a refund: taken off, or credit for later invoices
    "credit_note.updated": upsert,  # a refund was linked to it
    "credit_note.voided": upsert,  # it counts no more
    # What the customer may use.
    "entitlements.active_entitlement_summary.updated": upsert_entitlements,  # all features that are active now
    # What counts usage.
    "billing.meter.created": upsert,  # usage can be reported to it
    "billing.meter.updated": upsert,  # its name for people
    "billing.meter.deactivated": upsert,  # usage is refused
    "billing.meter.reactivated": upsert,  # and taken again
    "billing.meter.error_report_triggered": refuse_usage,  # usage that was taken and could not be counted
    "billing.meter.no_meter_found": refuse_usage,  # the same, for want of a meter
    # The catalogue.
    "product.created": upsert,
    "product.updated": upsert,
    "product.deleted": delete,
    "price.created": upsert_price,
    "price.updated": upsert_price,
    "price.deleted": delete,
    "plan.created": upsert_price,  # the same row as the price of that id
    "plan.updated": upsert_price,
    "plan.deleted": delete,
}


ENDPOINT_EVENTS = tuple(sorted(name for name, handler in HANDLERS.items() if not handler.reads_event))
"""The types that a webhook endpoint is to be sent; the others go to destinations of thin events alone."""


def apply(mirror: Mirror, connection: sa.Connection, events: Sequence[StripeEvent]) -> list[Outcome]:
    """Apply events within the given transaction; an outcome for each.

    Args:
        mirror: writes the objects that the events carry.
        connection: the transaction; what is written is undone with it.
        events: events that `webhooks/inbox.py` has recorded, of accounts that the gateway serves.
    """
    outcomes: list[Outcome | None] = [None] * len(events)
    changes: dict[int, Change] = {}
    for place, event in enumerate(events):
        planned = _plan(event)
        if isinstance(planned, Change):
            changes[place] = planned
        else:
            outcomes[place] = planned
    results = mirror.store_events(connection, list(changes.values()), siblings)
    for place, result in zip(changes, results, strict=True):
        outcomes[place] = _outcome(changes[place], result)
    return [_run_after(connection, event, outcome) for event, outcome in zip(events, outcomes, strict=True) if outcome]


def _plan(event: StripeEvent) -> Change | Outcome:
    """Return what an event is to change in the mirror, or its outcome where that is nothing."""
    handler = HANDLERS.get(event.type)
    if handler is None:
        return Outcome("ignored", "no handler for this type: nothing in the mirror depends on it")
    obj = event.object
    if not handler.stores:
        is_read = event.thin and handler.follows(event) and (obj or handler.reads_event)
        return Outcome("applied", "noted", (subject_key(event),) if is_read else ())
    change = change_of(event, deleted=handler.deleted)
    return change or Outcome("ignored", f"the event carries a {obj.get('object')}, which its type does not promise")


TIED = "same second as the known state, fetched instead"

_OUTCOMES: dict[WriteResult | Unreadable, Outcome] = {
    WriteResult.CREATED: Outcome("applied", str(WriteResult.CREATED)),
    WriteResult.UPDATED: Outcome("applied", str(WriteResult.UPDATED)),
    WriteResult.STALE: Outcome("stale", "an equal or newer state was there"),
}


def _outcome(change: Change, result: WriteResult | Unreadable) -> Outcome:
    """Return what storing an object came to, in words for the operator."""
    if result in _OUTCOMES:
        return _OUTCOMES[result]
    match result:
        case WriteResult.UNCLEAR if not change.resource.path:
            return _OUTCOMES[WriteResult.STALE]
        case WriteResult.UNCLEAR:
            why = TIED
        case Unreadable():
            why = f"unreadable, fetched instead ({result})"
    return Outcome("applied", why, (fetch_key(change.object),))


def fetch_key(obj: Json) -> str:
    """Return how fetching this object is written down: `kind:id`."""
    kind = str(obj.get("object", ""))
    resource = RESOURCES.get(kind)
    return f"{kind}:{resource.id_of(obj) if resource else obj.get('id')}"


def subject_key(event: StripeEvent) -> str:
    """Return how fetching what an event is about is written down."""
    handler = HANDLERS.get(event.type)
    return f"{V2_EVENT}:{event.id}" if handler and handler.reads_event else fetch_key(event.object)


def _run_after(connection: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Run what the event does beside its object; for a thin event only once its object was fetched."""
    return outcome if event.thin or outcome.status == "ignored" else run_after(connection, event, outcome)


def run_after(connection: sa.Connection, event: StripeEvent, outcome: Outcome) -> Outcome:
    """Do what an event causes besides storing its object: the `after` of its handler."""
    handler = HANDLERS[event.type]
    return handler.after(connection, event, outcome) if handler.after and handler.follows(event) else outcome
