"""One visible table: what each type of event does, with the reason on each line.

The objects of a whole group of events are written first, in few statements; then comes what an event does beside that.
A handler writes what the event itself proves, within the transaction that also marks the event, and names what must be
fetched from Stripe afterwards. It holds no mapping: that is `mirror/columns.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from gateway.billing.credits.purchases import unknown_prices
from gateway.billing.credits.settlement import settle
from gateway.billing.invoices import note_failed_charge
from gateway.mirror.mapping import id_of
from gateway.mirror.resources import RESOURCES, Unreadable
from gateway.mirror.sync import Change, store_events
from gateway.mirror.upsert import WriteResult

Json = dict[str, Any]


class Effect(NamedTuple):
    """What applying an event came to.

    Args:
        status: the event's status in the inbox: `applied`, `stale` or `ignored`.
        outcome: a word or a sentence for the operator.
        needs: what must still be fetched, as `kind:id`.
    """

    status: str
    outcome: str
    needs: tuple[str, ...] = ()


Then = Callable[[sa.Connection, Json, Effect], Effect]


@dataclass(frozen=True, slots=True)
class Handler:
    """What a type of event does.

    Args:
        deleted: whether the event says that its object is gone for good.
        stores: whether the event's object goes into the mirror.
        then: what follows, in the same transaction; also when the object was stale, because effects are keyed by their
            own facts. It gets the effect so far and gives it back, changed or not. Rows of its own it locks in a fixed
            order.
    """

    deleted: bool = False
    stores: bool = True
    then: Then | None = None


def fetch_price(_: sa.Connection, event: Json, effect: Effect) -> Effect:
    """Tiers and currency options of a price are in no event: they are fetched, unless only others changed."""
    obj = event["data"]["object"]
    changed = event["data"].get("previous_attributes")
    told = bool(changed) and set(changed) <= set(obj) and effect.outcome != WriteResult.CREATED
    whole = {"tiers", "currency_options"} <= set(obj)
    if effect.status == "stale" or told or whole or effect.needs:
        return effect
    return effect._replace(needs=(f"price:{obj['id']}",))


def fetch_checkout(_: sa.Connection, event: Json, effect: Effect) -> Effect:
    """A checkout that ended well: the customer, the e-mail and the card it was paid with are fetched.

    Credits and access are never given here: they wait for `invoice.paid` and the subscription's own events.
    """
    if effect.status != "applied":
        return effect
    return effect._replace(needs=(f"checkout.session:{event['data']['object']['id']}",))


def note_failure(connection: sa.Connection, event: Json, effect: Effect) -> Effect:
    """Since when an invoice could not be charged, which counts also when its state is stale."""
    note_failed_charge(connection, event["data"]["object"]["id"], event["created"])
    return effect


def grant_credits(connection: sa.Connection, event: Json, effect: Effect) -> Effect:
    """What a paid invoice's lines grant stands in their prices: unknown ones are fetched, then the invoice again.

    Settled here once more, because a price may have come between the writing of the invoice and this look.
    """
    try:
        lines = RESOURCES["invoice"].read(event["data"]["object"])["lines"]
    except Unreadable:  # the whole invoice is fetched, and settled when it is written
        return effect
    invoice_id = event["data"]["object"]["id"]
    if missing := unknown_prices(connection, lines):
        return effect._replace(needs=(*effect.needs, *missing, f"invoice:{invoice_id}"))
    settle(connection, [invoice_id])
    return effect


def fetch_charge(_: sa.Connection, event: Json, effect: Effect) -> Effect:
    """A refund names its charge, which holds the sum of all refunds: that is fetched."""
    found = id_of(event["data"]["object"].get("charge"))
    return effect._replace(needs=(f"charge:{found}",)) if found else effect


mirror = Handler()
bury = Handler(deleted=True)
mirror_price = Handler(then=fetch_price)
mirror_checkout = Handler(then=fetch_checkout)
mirror_failed_charge = Handler(then=note_failure)
mirror_paid_invoice = Handler(then=grant_credits)
read_charge = Handler(stores=False, then=fetch_charge)

HANDLERS: dict[str, Handler] = {
    # The four of the original, each followed by its company.
    "checkout.session.completed": mirror_checkout,  # the buyer came through: payment details, nothing more
    "checkout.session.async_payment_succeeded": mirror_checkout,  # the delayed payment arrived: `paid` only now
    "checkout.session.async_payment_failed": mirror,  # the delayed payment failed: complete, and unpaid for good
    "checkout.session.expired": mirror,  # nobody came: the session is no longer open
    "invoice.paid": mirror_paid_invoice,  # bought or renewed: credits are granted, once for each line
    "invoice_payment.paid": mirror,  # by which payment, so that a refund finds its invoice
    "invoice.created": mirror,  # a draft that people may see coming
    "invoice.finalized": mirror,  # it has its number, its page and its PDF now
    "invoice.updated": mirror,  # amounts and attempts
    "invoice.payment_succeeded": mirror,  # the older twin of `invoice.paid`
    "invoice.payment_failed": mirror_failed_charge,  # dunning begins: attempts, the next one, and the grace period
    "invoice.payment_action_required": mirror,  # the buyer must confirm
    "invoice.voided": mirror,  # never to be paid
    "invoice.marked_uncollectible": mirror,  # written off
    "invoice.deleted": bury,  # a draft thrown away
    "customer.subscription.updated": mirror,  # plan switch, trial to active, pause, pending cancellation
    "customer.subscription.deleted": mirror,  # it ended; `canceled` is final, and the row stays for its history
    "customer.subscription.created": mirror,  # the first state, often `incomplete`
    "customer.subscription.paused": mirror,  # a trial that ended without a card
    "customer.subscription.resumed": mirror,  # and went on
    "customer.subscription.trial_will_end": mirror,  # three days' notice
    "customer.subscription.pending_update_applied": mirror,  # a change that waited for its payment
    "customer.subscription.pending_update_expired": mirror,  # or was given up
    # Who pays, and how.
    "customer.created": mirror,  # e-mail and name
    "customer.updated": mirror,  # e-mail, name, default payment method
    "customer.deleted": bury,  # final
    "payment_method.attached": mirror,  # brand, last digits, expiry
    "payment_method.detached": mirror,  # no longer anybody's
    "payment_method.updated": mirror,  # a new expiry date
    "payment_method.automatically_updated": mirror,  # by the card network
    # What goes back to the buyer: credits are taken back in proportion.
    "charge.succeeded": mirror,  # so that reconciling finds what is at Stripe
    "charge.failed": mirror,
    "charge.pending": mirror,  # a bank debit takes days
    "charge.captured": mirror,
    "charge.expired": mirror,
    "charge.refunded": mirror,  # the sum of all refunds
    "charge.updated": mirror,  # the same, after a refund has failed
    "refund.created": read_charge,  # the refund of an older kind of payment comes without `charge.refunded`
    "refund.updated": read_charge,  # canceled, or succeeded after a while
    "refund.failed": read_charge,  # the charge has its money again, and tells nobody
    "charge.dispute.created": mirror,  # the bank claims it back
    "charge.dispute.updated": mirror,  # evidence
    "charge.dispute.closed": mirror,  # lost: credits go; won: they stay, or come back
    # What the customer may use.
    "entitlements.active_entitlement_summary.updated": mirror,  # all features that are active now
    # What counts usage.
    "billing.meter.created": mirror,  # usage can be reported to it
    "billing.meter.updated": mirror,  # its name for people
    "billing.meter.deactivated": mirror,  # usage is refused
    "billing.meter.reactivated": mirror,  # and taken again
    # The catalogue.
    "product.created": mirror,
    "product.updated": mirror,
    "product.deleted": bury,
    "price.created": mirror_price,
    "price.updated": mirror_price,
    "price.deleted": bury,
    "plan.created": mirror_price,  # the same row as the price of that id
    "plan.updated": mirror_price,
    "plan.deleted": bury,
}


def apply(connection: sa.Connection, events: Sequence[Json]) -> list[Effect]:
    """Apply events within the given transaction; what became of each.

    Args:
        connection: the transaction; what is written is undone with it.
        events: Stripe events that `webhooks.inbox` has recorded, of accounts that the gateway serves.
    """
    effects: list[Effect | None] = [None] * len(events)
    changes: dict[int, Change] = {}
    for place, event in enumerate(events):
        planned = _plan(event)
        if isinstance(planned, Change):
            changes[place] = planned
        else:
            effects[place] = planned
    for place, outcome in zip(changes, store_events(connection, list(changes.values())), strict=True):
        effects[place] = _effect(changes[place], outcome)
    return [_follow(connection, event, effect) for event, effect in zip(events, effects, strict=True) if effect]


def _plan(event: Json) -> Change | Effect:
    """What an event is to change in the mirror, or its effect where that is nothing."""
    handler = HANDLERS.get(event["type"])
    if handler is None:
        return Effect("ignored", "no handler for this type: nothing in the mirror depends on it")
    obj = event["data"]["object"]
    if not handler.stores:
        return Effect("applied", "noted", (need_of(obj),) if event.get("thin") and "id" in obj else ())
    resource = RESOURCES.get(obj.get("object"))
    if resource is None or not isinstance(obj.get(resource.owner or "id"), str):
        return Effect("ignored", f"the event carries a {obj.get('object')}, which its type does not promise")
    return Change(resource, obj, event["created"], handler.deleted)


_EFFECTS: dict[WriteResult | Unreadable, Effect] = {
    WriteResult.CREATED: Effect("applied", str(WriteResult.CREATED)),
    WriteResult.UPDATED: Effect("applied", str(WriteResult.UPDATED)),
    WriteResult.STALE: Effect("stale", "an equal or newer state was there"),
}


def _effect(change: Change, outcome: WriteResult | Unreadable) -> Effect:
    """What storing an object came to, in the operator's words."""
    if outcome in _EFFECTS:
        return _EFFECTS[outcome]
    match outcome:
        case WriteResult.UNCLEAR:
            why = "same second as the known state, fetched instead"
        case Unreadable():
            why = f"unreadable, fetched instead ({outcome})"
    return Effect("applied", why, (need_of(change.object),))


def need_of(obj: Json) -> str:
    """How fetching this object is written down: `kind:id`."""
    kind = obj.get("object", "")
    resource = RESOURCES.get(kind)
    return f"{kind}:{resource.id_of(obj) if resource else obj.get('id')}"


def _follow(connection: sa.Connection, event: Json, effect: Effect) -> Effect:
    """What the event does beside its object; a thin event only once its object was fetched."""
    return effect if event.get("thin") or effect.status == "ignored" else follow(connection, event, effect)


def follow(connection: sa.Connection, event: Json, effect: Effect) -> Effect:
    """What the event does beside its object, which it holds."""
    then = HANDLERS[event["type"]].then
    return then(connection, event, effect) if then else effect
